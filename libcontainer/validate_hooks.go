package libcontainer

import (
	"path"
	"strconv"
	"strings"
)

// hooks are programs of their own: what Validate says of the process's path and strings, it says of theirs.
func (v *validator) hooks() {
	for k := range hookKinds {
		list := hookList(v.spec.Hooks, k)
		for i := range list {
			p := (&Hook{Kind: k, Index: i}).Pointer()
			if s := list[i].Path; !path.IsAbs(s) || hasNUL(s) {
				v.problem(p+"/path", "the path of a hook must be absolute", "")
			}
			for j, a := range list[i].Args {
				if hasNUL(a) {
					v.problem(p+"/args/"+strconv.Itoa(j), "an argument has no NUL byte", "")
				}
			}
			for j, e := range list[i].Env {
				if hasNUL(e) || strings.IndexByte(e, '=') <= 0 {
					v.problem(p+"/env/"+strconv.Itoa(j), "an entry of the environment is NAME=VALUE", "")
				}
			}
			if t := list[i].Timeout; t != nil && *t <= 0 {
				v.problem(p+"/timeout", "the timeout of a hook must be more than 0", "leave it out for none")
			}
		}
	}
	for _, name := range [...]string{annotationHookStdout, annotationHookStderr} {
		if s := v.spec.Annotations[name]; s != "" && (!path.IsAbs(s) || hasNUL(s)) {
			v.problem("/annotations/"+name, "the path of a file must be absolute", "")
		}
	}
}
