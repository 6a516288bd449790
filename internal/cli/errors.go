package cli

import (
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/locald/locald/internal/bundle"
)

// The stable ids of what locald says. A script may match them; the words beside them may change.
const (
	idNotSetUp      = "LD001" // no set-user-ID helper, and without it this machine does not run containers
	idVersion       = "LD002" // helper and locald are not of the same version
	idNoSUID        = "LD003" // the helper's file system ignores the set-user-ID bit
	idUnsafe        = "LD004" // somebody else than root could replace the helper
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
	idVolume        = "LD301" // a bind mount
	idUser          = "LD302" // a user of the container
	idLimit         = "LD303" // a limit that cannot be applied
	idInUse         = "LD120" // a name that another container has
	idNoContainer   = "LD121" // there is no such container
	idStatus        = "LD122" // the container is not in the state that this needs
	idContainer     = "LD123" // the files of a container
	idBundle        = "LD310" // writing the bundle
	idNotExecutable = "LD401"
	idNotFound      = "LD402"
	idOOM           = "LD403"
	idRefused       = "LD600" // the helper found something wrong with config.json
	idKernel        = "LD601" // the kernel refused a step
	idHelper        = "LD602" // the helper could not be started, or ended without an answer
	idSetup         = "LD701" // setup could not do its work
)

// failure is what the caller of locald reads: what happened, why, and what to type next.
type failure struct {
	id   string
	what string   // one line, without a full stop
	why  []string // more lines, where the first does not say it all
	try  []string // commands that can be pasted
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
	for _, line := range f.try {
		b.WriteString("  try: " + line + "\n")
	}
	// Names that others have chosen may hold what a terminal would obey.
	io.WriteString(w, strings.Map(func(r rune) rune {
		if r == '\n' || strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, b.String()))
}

// optionFailure is a refusal by the package bundle, or nil when err is none.
func optionFailure(err error) *failure {
	var e *bundle.Error
	if !errors.As(err, &e) {
		return nil
	}
	f := &failure{id: idUsage, what: e.Error()}
	switch e.Flag {
	case "--volume", "--tmpfs":
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
	what, why, _ := strings.Cut(err.Error(), "\n")
	f = &failure{id: idUsage, what: what}
	for line := range strings.Lines(why) {
		if line = strings.TrimSpace(line); line != "" {
			f.why = append(f.why, line)
		}
	}
	return f
}
