package config

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestDecodeCaseVariants spells every member of the specification in another case. encoding/json
// takes each of them for the member itself.
func TestDecodeCaseVariants(t *testing.T) {
	n := 0
	places(t, func(p place) {
		if p.object == nil || isMap(strings.TrimSuffix(p.pointer, "/"+p.name)) {
			return
		}
		value, err := json.Marshal(p.value)
		if err != nil {
			t.Fatal(err)
		}
		first, size := utf8.DecodeRuneInString(p.name)
		flipped := string(unicode.ToUpper(first)) + p.name[size:]
		if unicode.IsUpper(first) {
			flipped = string(unicode.ToLower(first)) + p.name[size:]
		}
		for _, variant := range []string{
			flipped,
			strings.ToUpper(p.name),
			strings.Replace(p.name, "k", "\u212a", 1), // kelvin sign, which folds to k
			strings.Replace(p.name, "s", "\u017f", 1), // long s, which folds to s
		} {
			if variant == p.name {
				continue
			}
			n++
			doc := p.object(strconv.Quote(variant) + ":" + string(value))
			_, err := Decode([]byte(doc))
			pointer := strings.TrimSuffix(p.pointer, p.name) + variant
			reason := `unknown member that differs from "` + p.name + `" only in case`
			if e, _ := err.(*SyntaxError); e == nil || e.Pointer != pointer || e.Reason != reason {
				t.Errorf("%s: got %v\nwant %s: %s", doc, err, pointer, reason)
			}
		}
	})
	if n < 500 {
		t.Errorf("only %d variants were tried", n)
	}
}

// TestDecodeDuplicates repeats every member, spelled with an escape the second time.
func TestDecodeDuplicates(t *testing.T) {
	n := 0
	places(t, func(p place) {
		if p.object == nil {
			return
		}
		n++
		value, err := json.Marshal(p.value)
		if err != nil {
			t.Fatal(err)
		}
		escaped := `"\u00` + strconv.FormatInt(int64(p.name[0]), 16) + p.name[1:] + `"`
		doc := p.object(strconv.Quote(p.name) + ":" + string(value) + `,` + escaped + ":" + string(value))
		_, err = Decode([]byte(doc))
		if e, _ := err.(*SyntaxError); e == nil || e.Pointer != p.pointer || e.Reason != "duplicate member" {
			t.Errorf("%s: got %v", doc, err)
		}
	})
	if n < 200 {
		t.Errorf("only %d members were tried", n)
	}
}

// TestDecodeDuplicateAmongMany has objects with more names than are compared one by one, and
// repeats each of the names at once and at the end.
func TestDecodeDuplicateAmongMany(t *testing.T) {
	const size = 3 * manyNames
	var members []string
	for i := range size {
		members = append(members, `"k`+strconv.Itoa(i)+`":""`)
	}
	for _, where := range []string{`{"annotations":{`, `{"x":{`} {
		same(t, []byte(where+strings.Join(members, ",")+"}}"))
		for first := range size {
			for _, second := range []int{first + 1, size} {
				doc := where + strings.Join(slices.Insert(slices.Clone(members), second, members[first]), ",") + "}}"
				_, err := Decode([]byte(doc))
				e, _ := err.(*SyntaxError)
				if e == nil || e.Reason != "duplicate member" || !strings.HasSuffix(e.Pointer, "/k"+strconv.Itoa(first)) {
					t.Fatalf("name %d again as number %d: %v", first, second, err)
				}
			}
		}
	}
}

// nest is a document with n arrays in each other.
func nest(n int) string { return `{"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }

var bad = []struct{ name, doc, want string }{
	// The document.
	{"empty", "", `config.json is empty`},
	{"white space only", " \n", `config.json is empty`},
	{"too large", strings.Repeat(" ", MaxSize+1), `config.json is larger than 4 MiB`},
	{"byte order mark", "\xef\xbb\xbf{}", `config.json: a UTF-8 byte order mark is not allowed (byte 0)`},
	{"UTF-16", "\xff\xfe{\x00", `config.json: an object is expected, found byte 0xff (byte 0)`},
	{"null", `null`, `config.json: an object is expected, found null (byte 0)`},
	{"array", `[]`, `config.json: an object is expected, found an array (byte 0)`},
	{"string", `"x"`, `config.json: an object is expected, found a string (byte 0)`},
	{"not JSON", `root:x:0:0:`, `config.json: an object is expected, found 'r' (byte 0)`},
	{"NUL", "\x00", `config.json: an object is expected, found byte 0x00 (byte 0)`},
	{"trailing brace", `{}}`, `config.json: the end of the document is expected, found '}' (byte 2)`},
	{"trailing object", "{}\n{}", `config.json: the end of the document is expected, found an object (byte 3)`},
	{"trailing NUL", "{}\x00", `config.json: the end of the document is expected, found byte 0x00 (byte 2)`},
	{"no-break space", "{\u00a0}", `config.json: a member's name in double quotes is expected, found byte 0xc2 (byte 1)`},

	// Objects and arrays.
	{"truncated object", `{`, `config.json: a member's name in double quotes is expected, found the end of the document (byte 1)`},
	{"truncated member", `{"root":{"path"`, `config.json: /root/path: ':' is expected, found the end of the document (byte 15)`},
	{"truncated value", `{"root":{"path":`, `config.json: /root/path: a string is expected, found the end of the document (byte 16)`},
	{"truncated after value", `{"root":{"path":"x"`, `config.json: /root: ',' or '}' is expected, found the end of the document (byte 19)`},
	{"truncated array", `{"mounts":[{},`, `config.json: /mounts/1: an object is expected, found the end of the document (byte 14)`},
	{"comma at the end of an object", `{"hostname":"x",}`, `config.json: a member's name in double quotes is expected, found '}' (byte 16)`},
	{"comma at the end of an array", `{"mounts":[{},]}`, `config.json: /mounts: a value is expected, found ']' (byte 14)`},
	{"comma at the begin", `{,"hostname":"x"}`, `config.json: a member's name in double quotes is expected, found ',' (byte 1)`},
	{"two commas", `{"mounts":[{},,{}]}`, `config.json: /mounts/1: an object is expected, found ',' (byte 14)`},
	{"no comma", `{"process":{"args":["a" "b"]}}`, `config.json: /process/args: ',' or ']' is expected, found a string (byte 24)`},
	{"no colon", `{"process" {}}`, `config.json: /process: ':' is expected, found an object (byte 11)`},
	{"bare name", `{process:{}}`, `config.json: a member's name in double quotes is expected, found 'p' (byte 1)`},
	{"single quotes", `{'process':{}}`, `config.json: a member's name in double quotes is expected, found ''' (byte 1)`},
	{"comment", "{} // x", `config.json: the end of the document is expected, found '/' (byte 3)`},
	{"wrong bracket", `{"mounts":[}`, `config.json: /mounts/0: an object is expected, found '}' (byte 11)`},

	// Names.
	{"case", `{"linux":{"Namespaces":[]}}`, `config.json: /linux/Namespaces: unknown member that differs from "namespaces" only in case (byte 10)`},
	{"case, another platform", `{"Windows":{}}`, `config.json: /Windows: unknown member that differs from "windows" only in case (byte 1)`},
	{"case, escaped", `{"\u0050rocess":{}}`, `config.json: /Process: unknown member that differs from "process" only in case (byte 1)`},
	{"duplicate", `{"root":{},"root":{}}`, `config.json: /root: duplicate member (byte 11)`},
	{"duplicate null", `{"root":null,"root":{}}`, `config.json: /root: duplicate member (byte 13)`},
	{"duplicate, escaped", `{"root":{},"\u0072oot":{}}`, `config.json: /root: duplicate member (byte 11)`},
	{"duplicate annotation", `{"annotations":{"a/b":"1","c":"2","a/b":"1"}}`, `config.json: /annotations/a~1b: duplicate member (byte 34)`},
	{"duplicate in a map of structs", `{"linux":{"timeOffsets":{"boottime":{},"boottime":{}}}}`, `config.json: /linux/timeOffsets/boottime: duplicate member (byte 39)`},
	{"duplicate unknown", `{"x":1,"y":{},"x":2}`, `config.json: /x: duplicate member (byte 14)`},
	{"duplicate below unknown", `{"x":[0,{"y":{"~":1,"~":1}}]}`, `config.json: /x/1/y/~0: duplicate member (byte 20)`},
	{"duplicate in another platform", `{"windows":{"x":{"y":1,"y":1}}}`, `config.json: /windows/x/y: duplicate member (byte 23)`},
	{"duplicate empty name", `{"":1,"":1}`, `config.json: /: duplicate member (byte 6)`},

	// Kinds.
	{"string for an object", `{"process":"x"}`, `config.json: /process: an object is expected, found a string (byte 11)`},
	{"object for an array", `{"mounts":{}}`, `config.json: /mounts: an array is expected, found an object (byte 10)`},
	{"array for an object", `{"linux":{"resources":[]}}`, `config.json: /linux/resources: an object is expected, found an array (byte 22)`},
	{"number for a string", `{"process":{"args":["a",-1]}}`, `config.json: /process/args/1: a string is expected, found a number (byte 24)`},
	{"boolean for a string", `{"hostname":true}`, `config.json: /hostname: a string is expected, found a boolean (byte 12)`},
	{"string for a boolean", `{"root":{"readonly":"true"}}`, `config.json: /root/readonly: a boolean is expected, found a string (byte 20)`},
	{"string for a number", `{"process":{"user":{"uid":"0"}}}`, `config.json: /process/user/uid: an integer is expected, found a string (byte 26)`},
	{"octal string for a mode", `{"linux":{"devices":[{"fileMode":"0666"}]}}`, `config.json: /linux/devices/0/fileMode: an integer is expected, found a string (byte 33)`},
	{"array for another platform", `{"vm":[]}`, `config.json: /vm: an object is expected, found an array (byte 6)`},
	{"number in a map", `{"annotations":{"a":1}}`, `config.json: /annotations/a: a string is expected, found a number (byte 20)`},

	// Literals.
	{"short null", `{"root":nul}`, `config.json: /root: null is expected, found 'n' (byte 8)`},
	{"long true", `{"root":{"readonly":truee}}`, `config.json: /root: ',' or '}' is expected, found 'e' (byte 24)`},
	{"True", `{"root":{"readonly":True}}`, `config.json: /root/readonly: a boolean is expected, found 'T' (byte 20)`},
	{"NaN", `{"x":NaN}`, `config.json: /x: a value is expected, found 'N' (byte 5)`},

	// Numbers.
	{"fraction", `{"process":{"user":{"uid":1.0}}}`, `config.json: /process/user/uid: an integer is expected, found a number with a fraction or an exponent (byte 26)`},
	{"exponent", `{"process":{"oomScoreAdj":1e2}}`, `config.json: /process/oomScoreAdj: an integer is expected, found a number with a fraction or an exponent (byte 26)`},
	{"uint16", `{"linux":{"resources":{"blockIO":{"weight":65536}}}}`, `config.json: /linux/resources/blockIO/weight: number out of range: uint16 holds 0 to 65535 (byte 43)`},
	{"uint32", `{"process":{"user":{"uid":4294967296}}}`, `config.json: /process/user/uid: number out of range: uint32 holds 0 to 4294967295 (byte 26)`},
	{"uint64", `{"process":{"rlimits":[{"hard":18446744073709551616}]}}`, `config.json: /process/rlimits/0/hard: number out of range: uint64 holds 0 to 18446744073709551615 (byte 31)`},
	{"negative", `{"process":{"rlimits":[{"soft":-1}]}}`, `config.json: /process/rlimits/0/soft: number out of range: uint64 holds 0 to 18446744073709551615 (byte 31)`},
	{"int32", `{"process":{"scheduler":{"nice":-2147483649}}}`, `config.json: /process/scheduler/nice: number out of range: int32 holds -2147483648 to 2147483647 (byte 32)`},
	{"int64", `{"linux":{"resources":{"memory":{"limit":9223372036854775808}}}}`, `config.json: /linux/resources/memory/limit: number out of range: int64 holds -9223372036854775808 to 9223372036854775807 (byte 41)`},
	{"mode", `{"linux":{"devices":[{"fileMode":-1}]}}`, `config.json: /linux/devices/0/fileMode: number out of range: uint32 holds 0 to 4294967295 (byte 33)`},
	{"leading zero", `{"linux":{"devices":[{"fileMode":0666}]}}`, `config.json: /linux/devices/0/fileMode: number with a leading zero (byte 33)`},
	{"minus", `{"process":{"user":{"uid":-}}}`, `config.json: /process/user/uid: a digit is expected, found '}' (byte 27)`},
	{"plus", `{"process":{"user":{"uid":+1}}}`, `config.json: /process/user/uid: an integer is expected, found '+' (byte 26)`},
	{"hexadecimal", `{"process":{"user":{"uid":0x1}}}`, `config.json: /process/user: ',' or '}' is expected, found 'x' (byte 27)`},
	{"unknown: no fraction", `{"x":1.}`, `config.json: /x: a digit is expected, found '}' (byte 7)`},
	{"unknown: no exponent", `{"x":1e+}`, `config.json: /x: a digit is expected, found '}' (byte 8)`},
	{"unknown: leading zero", `{"x":-01}`, `config.json: /x: number with a leading zero (byte 5)`},

	// Strings.
	{"no end", `{"hostname":"x`, `config.json: /hostname: string without an end (byte 12)`},
	{"no end after an escape", `{"hostname":"x\"}`, `config.json: /hostname: string without an end (byte 12)`},
	{"no end of an escape", `{"hostname":"x\`, `config.json: /hostname: invalid escape sequence (byte 14)`},
	{"line feed", "{\"hostname\":\"a\nb\"}", `config.json: /hostname: control character 0x0a in a string, where it must be escaped (byte 14)`},
	{"raw NUL", "{\"hostname\":\"a\x00\"}", `config.json: /hostname: control character 0x00 in a string, where it must be escaped (byte 14)`},
	{"escape", `{"hostname":"\x41"}`, `config.json: /hostname: invalid escape sequence (byte 13)`},
	{"short unicode escape", `{"hostname":"\u12"}`, `config.json: /hostname: invalid escape sequence (byte 13)`},
	{"high surrogate", `{"hostname":"a\ud800"}`, `config.json: /hostname: lone surrogate (byte 14)`},
	{"high surrogate before a character", `{"hostname":"\ud800\u0041"}`, `config.json: /hostname: lone surrogate (byte 13)`},
	{"two high surrogates", `{"hostname":"\ud800\ud800\udc00"}`, `config.json: /hostname: lone surrogate (byte 13)`},
	{"low surrogate", `{"hostname":"\uDFFF"}`, `config.json: /hostname: lone surrogate (byte 13)`},
	{"invalid UTF-8", "{\"hostname\":\"a\xffb\"}", `config.json: /hostname: invalid UTF-8 (byte 14)`},
	{"overlong UTF-8", "{\"hostname\":\"\xc0\x80\"}", `config.json: /hostname: invalid UTF-8 (byte 13)`},
	{"surrogate in UTF-8", "{\"hostname\":\"\xed\xa0\x80\"}", `config.json: /hostname: invalid UTF-8 (byte 13)`},
	{"truncated UTF-8", "{\"hostname\":\"\xe2\x98\"}", `config.json: /hostname: invalid UTF-8 (byte 13)`},
	{"invalid UTF-8 in a name", "{\"a\xff\":1}", `config.json: invalid UTF-8 (byte 3)`},
	{"invalid UTF-8 below unknown", "{\"x\":[\"\xff\"]}", `config.json: /x/0: invalid UTF-8 (byte 7)`},
	{"surrogate below unknown", `{"x":{"y":"\udead"}}`, `config.json: /x/y: lone surrogate (byte 11)`},

	// Limits.
	{"65 deep", nest(maxDepth), `config.json: /x` + strings.Repeat("/0", maxDepth-1) + `: nested more than 64 deep (byte 68)`},
	{"10,000 deep", nest(10_000), `config.json: /x` + strings.Repeat("/0", maxDepth-1) + `: nested more than 64 deep (byte 68)`},
	{"a million deep, without an end", strings.Repeat(`{"x":`, 800_000), `config.json: ` + strings.Repeat("/x", maxDepth) + `: nested more than 64 deep (byte 320)`},
	{"too many values", `{"x":[` + strings.Repeat("0,", maxValues) + `0]}`, `config.json: /x: more than 262144 values in the document (byte 524292)`},
	{"too many empty mounts", `{"mounts":[` + strings.Repeat("{},", 1_390_000) + `{}]}`, `config.json: /mounts: more than 262144 values in the document (byte 786440)`},
}

func TestDecodeBad(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.name, func(t *testing.T) {
			spec, err := Decode([]byte(tt.doc))
			if spec != nil || err == nil {
				t.Fatalf("accepted; want %s", tt.want)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
			if _, _, err := DecodeUnknown([]byte(tt.doc)); err == nil || err.Error() != tt.want {
				t.Errorf("DecodeUnknown: got %v", err)
			}
		})
	}
}
