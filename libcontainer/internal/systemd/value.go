package systemd

// Property is a property of a unit, by its name on the bus: "MemoryMax". Value is a string, bool, byte, int16, uint16,
// int32, uint32, int64, uint64, float64, []string, []uint32, []byte, []PathAmount or []PathText.
type Property struct {
	Name  string
	Value any
}

// PathAmount is an element of IOReadBandwidthMax and its like, of type (st).
type PathAmount struct {
	Path   string
	Amount uint64
}

// PathText is an element of DeviceAllow, of type (ss).
type PathText struct {
	Path, Text string
}

// signature is the D-Bus type of a value, "" for one that is not in the list above.
func signature(value any) string {
	switch value.(type) {
	case string:
		return "s"
	case bool:
		return "b"
	case byte:
		return "y"
	case int16:
		return "n"
	case uint16:
		return "q"
	case int32:
		return "i"
	case uint32:
		return "u"
	case int64:
		return "x"
	case uint64:
		return "t"
	case float64:
		return "d"
	case []string:
		return "as"
	case []uint32:
		return "au"
	case []byte:
		return "ay"
	case []PathAmount:
		return "a(st)"
	case []PathText:
		return "a(ss)"
	}
	return ""
}

// set puts a property into the place of an earlier one of its name.
func set(all []Property, p Property) []Property {
	for i := range all {
		if all[i].Name == p.Name {
			all[i] = p
			return all
		}
	}
	return append(all, p)
}
