package image

import (
	"errors"
	"strings"
)

// DefaultRegistry is where a name without a registry belongs.
const DefaultRegistry = "docker.io"

// Reference is the full name of an image: registry/repository:tag, registry/repository@digest, or all three.
type Reference struct {
	Registry   string // "docker.io", "localhost:5000"
	Repository string // "library/alpine"
	Tag        string // "" only where there is a digest
	Digest     Digest // "" where the name has none
}

// ParseReference reads a name as Docker does: the first part is a registry when it has a dot or a colon or is
// "localhost", one name alone is below library/ on docker.io, and the tag is "latest" where nothing else is said.
func ParseReference(s string) (Reference, error) {
	var r Reference
	name, digest, hasDigest := strings.Cut(s, "@")
	if hasDigest {
		r.Digest = Digest(digest)
		if !r.Digest.Valid() {
			return r, errors.New("a digest is written sha256: and 64 hexadecimal digits")
		}
	}
	if slash := strings.LastIndexByte(name, '/'); strings.IndexByte(name[slash+1:], ':') >= 0 {
		colon := strings.LastIndexByte(name, ':')
		name, r.Tag = name[:colon], name[colon+1:]
		if !validTag(r.Tag) {
			return r, errors.New("a tag has up to 128 letters, digits, _ . - and does not begin with . or -")
		}
	} else if !hasDigest {
		r.Tag = "latest"
	}
	first, rest, more := strings.Cut(name, "/")
	if more && (first == "localhost" || strings.ContainsAny(first, ".:")) {
		r.Registry, r.Repository = first, rest
	} else {
		r.Registry, r.Repository = DefaultRegistry, name
	}
	if r.Registry == "index.docker.io" || r.Registry == "registry-1.docker.io" {
		r.Registry = DefaultRegistry
	}
	if !validHost(r.Registry) {
		return r, errors.New("the registry is no host name")
	}
	if len(r.Repository) > 255 {
		return r, errors.New("a name has at most 255 characters")
	}
	for part := range strings.SplitSeq(r.Repository, "/") {
		if !validPart(part) {
			return r, errors.New("a name is made of a-z, 0-9 and, between them, . _ - and /")
		}
	}
	if r.Registry == DefaultRegistry && !strings.Contains(r.Repository, "/") {
		r.Repository = "library/" + r.Repository
	}
	return r, nil
}

// String is the full name.
func (r Reference) String() string { return r.Registry + "/" + r.Repository + r.suffix() }

// Familiar is the short form that people type: without docker.io and library/.
func (r Reference) Familiar() string {
	name := r.Registry + "/" + r.Repository
	if r.Registry == DefaultRegistry {
		name = strings.TrimPrefix(r.Repository, "library/")
	}
	return name + r.suffix()
}

func (r Reference) suffix() string {
	s := ""
	if r.Tag != "" {
		s = ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

func validTag(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[0] == '-' {
		return false
	}
	return strings.IndexFunc(s, func(c rune) bool {
		return !letter(c) && !('A' <= c && c <= 'Z') && c != '_' && c != '.' && c != '-'
	}) < 0
}

func letter(c rune) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func validPart(s string) bool {
	if s == "" || !letter(rune(s[0])) || !letter(rune(s[len(s)-1])) {
		return false
	}
	return strings.IndexFunc(s, func(c rune) bool { return !letter(c) && c != '_' && c != '.' && c != '-' }) < 0
}

func validHost(s string) bool {
	if s == "" || strings.ContainsRune(":-.", rune(s[0])) || strings.Contains(s, "..") {
		return false
	}
	return strings.IndexFunc(strings.ToLower(s), func(c rune) bool {
		return !letter(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']'
	}) < 0
}
