package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/locald/locald/internal/bundle"
	"github.com/locald/locald/internal/shim"
	"github.com/locald/locald/libcontainer"
)

// The stable ids of what locald says. A script may match them; the words beside them may change.
const (
	idNotSetUp      = "LD001" // no set-user-ID helper, and without it this machine does not run containers
	idVersion       = "LD002" // helper and locald are not of the same version
	idNoSUID        = "LD003" // the helper's file system ignores the set-user-ID bit
	idUnsafe        = "LD004" // somebody else than root could replace the helper
	idPlatform      = "LD010" // containers need Linux
	idUsage         = "LD020" // flags and arguments
	idImage         = "LD100" // a kind of image that is not supported
	idNoImage       = "LD101" // an image that is nowhere to be had
	idOffline       = "LD102" // the image is not on this machine, and its registry cannot be reached
	idTooMany       = "LD103" // the registry refuses more pulls for now
	idDenied        = "LD104" // the registry refuses the caller
	idRegistry      = "LD105" // the registry, what it sent, or the program that speaks with it
	idStore         = "LD106" // the store of images
	idArchive       = "LD107" // an archive that is no image, or a broken one
	idUnpack        = "LD108" // a layer that cannot be unpacked
	idRootfs        = "LD110" // the root file system
	idLowPort       = "LD201" // a port that only root may use
	idPortTaken     = "LD202" // a port that another process has
	idPort          = "LD203" // a port that cannot be published for another reason
	idVolume        = "LD301" // a bind mount
	idUser          = "LD302" // a user of the container
	idLimit         = "LD303" // a limit that cannot be applied
	idInUse         = "LD120" // a name that another container has
	idNoContainer   = "LD121" // there is no such container
	idStatus        = "LD122" // the container is not in the state that this needs
	idContainer     = "LD123" // the files of a container
	idFiles         = "LD124" // files of a container that cannot be read or written
	idHostView      = "LD304" // the machine as the root file system
	idBundle        = "LD310" // writing the bundle
	idNotExecutable = "LD401"
	idNotFound      = "LD402"
	idOOM           = "LD403"
	idTimeout       = "LD404" // ended by --timeout
	idRefused       = "LD600" // the helper found something wrong with config.json
	idKernel        = "LD601" // the kernel refused a step
	idHelper        = "LD602" // the helper could not be started, or ended without an answer
	idSetup         = "LD701" // setup could not do its work
	idMistake       = "LD900" // a mistake in locald itself
)

// failure is what the caller of locald reads: what happened, why, and what to type next.
type failure struct {
	id   string
	what string   // one line, without a full stop
	why  []string // more lines, where the first does not say it all
	try  []string // commands or flags that can be pasted, each in place of the others
	code int      // exit code; 0 is the verb's own for a failure
}

// Error is the first line alone.
func (f *failure) Error() string { return f.what + " [" + f.id + "]" }

// write prints a failure in the one form they all have.
func (f *failure) write(w io.Writer) {
	var b strings.Builder
	b.WriteString("locald: " + f.what + ". [" + f.id + "]\n")
	for _, line := range f.why {
		b.WriteString("  " + line + "\n")
	}
	if len(f.try) > 0 {
		b.WriteString("  try: " + strings.Join(f.try, "   or ") + "\n")
	}
	// Names that others have chosen may hold what a terminal would obey.
	io.WriteString(w, strings.Map(func(r rune) rune {
		if r == '\n' || strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, b.String()))
}

// exitCode is that of a command which failed so.
func (f *failure) exitCode(cmd *cobra.Command) int {
	switch {
	case f.code != 0:
		return f.code
	case cmd != nil && (slices.Contains([]string{"run", "try", "unshare"}, cmd.Name())):
		return shim.CodeCannotRun
	case f.id == idUsage:
		return codeUsage
	}
	return codeFailed
}

// inJSON says whether an error is wanted as JSON: LOCALD_ERRORS=json asks for it, and so does --format json or jsonl of
// the command itself.
func inJSON(cmd *cobra.Command) bool {
	if os.Getenv("LOCALD_ERRORS") == "json" {
		return true
	}
	if cmd == nil {
		return false
	}
	format := cmd.Flags().Lookup("format")
	return format != nil && (format.Value.String() == "json" || format.Value.String() == "jsonl")
}

// writeJSON prints a failure as one line, with the exit code that comes of it.
func (f *failure) writeJSON(w io.Writer, code int) {
	json.NewEncoder(w).Encode(struct {
		Schema int      `json:"schema"`
		ID     string   `json:"id"`
		What   string   `json:"what"`
		Why    []string `json:"why"`
		Fix    []string `json:"fix"` // the alternatives of "try:"
		Code   int      `json:"code"`
	}{schema, f.id, f.what, append([]string{}, f.why...), append([]string{}, f.try...), code})
}

// caught says what went wrong in locald itself, without the stacks of its goroutines; GOTRACEBACK, whatever its value,
// brings them back.
func caught(stderr io.Writer, code *int) {
	if _, wanted := os.LookupEnv("GOTRACEBACK"); wanted {
		return
	}
	if p := recover(); p != nil {
		*code = shim.CodeCannotRun
		f := &failure{id: idMistake, what: "this is a mistake in locald: " + fmt.Sprint(p), try: []string{"GOTRACEBACK=all locald …, and report what it prints"}}
		f.write(stderr)
	}
}

// optionFailure is a refusal by the package bundle, or nil when err is none.
func optionFailure(err error) *failure {
	var e *bundle.Error
	if !errors.As(err, &e) {
		return nil
	}
	f := &failure{id: idUsage, what: e.Error()}
	switch e.Flag {
	case "--volume", "--mount", "--tmpfs":
		f.id = idVolume
	case "--user":
		f.id = idUser
	}
	if e.Fix != "" {
		f.try = []string{e.Fix}
	}
	return f
}

// asFailure is any error as a failure; what has no id of its own is a mistake in the command line.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	if f := optionFailure(err); f != nil {
		return f
	}
	if errors.Is(err, libcontainer.ErrPlatform) {
		return &failure{id: idPlatform, what: libcontainer.ErrPlatform.Error(), code: shim.CodeCannotRun}
	}
	what, why, _ := strings.Cut(err.Error(), "\n")
	f = &failure{id: idUsage, what: what}
	for line := range strings.Lines(why) {
		if line = strings.TrimSpace(line); line != "" {
			f.why = append(f.why, line)
		}
	}
	return f
}
