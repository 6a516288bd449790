package libcontainer

import "os"

// Container is one container that is about to run, in the way of exec.Cmd: fill it in, Run, Wait.
// ID, Bundle and Program are required.
type Container struct {
	ID      string   // [A-Za-z0-9_][A-Za-z0-9_+.-]*, at most 128 bytes; unique within StateDir
	Bundle  *Bundle  // where relative paths of the Program start
	Program *Program // what Compile made

	// StateDir is an existing directory of the caller's, mode 0700, in which <ID>/ is kept while the
	// container lives: "/run/locald/root". What a killed process left behind there is found and
	// removed by the next Run or Create with the same id, and by every Wait.
	StateDir string

	// Privilege, when set, is what a set-user-ID program does around the steps that need power.
	Privilege Privilege

	// Console is a connected AF_UNIX socket to which the process's terminal is sent (SCM_RIGHTS). It is needed when
	// process.terminal is true, and refused otherwise. ConnectConsole makes one, or socketpair(2). It is not
	// closed here.
	Console *os.File

	// OnSignal, when set, is told each signal that comes by Signals while the program runs. The signal is not sent when
	// it answers true: SIGWINCH for example may be about the caller's own terminal.
	OnSignal func(sig int) bool

	// IgnorePaused has Exec make its process in a paused container as well, where it does nothing, and Exec waits,
	// until the container is resumed.
	IgnorePaused bool

	// Notify has Create make <StateDir>/<ID>/notify, a directory that goes with the container. Whoever sets it mounts that
	// in the container, and makes a socket of the name notify.sock there (sd_notify(3)).
	Notify bool

	// Observe, when set, is told each phase as it is reached.
	Observe func(Phase)

	// Warn, when set, is told of a poststop hook that failed, which changes nothing else.
	Warn func(error)

	// KillOnClose, when set, is the write end of a pipe: when its last reader is gone, the container is killed.
	KillOnClose *os.File

	// Signals, when set, is the read end of a pipe, of which every byte is the number of a signal to send to
	// the container's first process.
	Signals *os.File

	run running
}

// Privilege raises what a few steps need and lowers it again. Its functions are called on the thread that makes the
// child, in this order. An error of theirs is that of Run, Create or Exec, as it is.
type Privilege interface {
	// AroundClone has to call clone, which makes a child: first that of the container, in its cgroup if intoCgroup, then once
	// more for those whose user namespaces are made for the maps of mounts, if there are any.
	AroundClone(intoCgroup bool, clone func() error) error

	// AtGate is called when the child waits at its gate. It has to call prepare, which writes the id maps, and then mapIDs,
	// which maps the ids of mounts, by CAP_SYS_ADMIN over the file systems, and is nil when there are none; and to give up
	// all power. When it returns nil, the child runs on, and hooks are run.
	AtGate(pid int, prepare, mapIDs func() error) error

	// Renounce gives up all power. It is called after an error, before anything is undone. An error of its own takes the
	// place of the other: then this thread, which undoes what was done, has no power either, but for others that could not
	// be seen, and no hook is run.
	Renounce() error
}

// ordinary is a program that has what power it has.
type ordinary struct{}

func (ordinary) AroundClone(_ bool, clone func() error) error { return clone() }

func (ordinary) AtGate(_ int, prepare, mapIDs func() error) error {
	if err := prepare(); err != nil || mapIDs == nil {
		return err
	}
	return mapIDs()
}

func (ordinary) Renounce() error { return nil }

func (c *Container) privilege() Privilege {
	if c.Privilege == nil {
		return ordinary{}
	}
	return c.Privilege
}

// Exit is how a container's process ended.
type Exit struct {
	Code      int  // its exit status; 128+Signal when a signal ended it
	Signal    int  // 0 unless a signal ended it
	OOMKilled bool // the kernel killed something in the container's cgroup for want of memory
}

// ValidID says whether id can name a container: a path component that no flag, hidden file or "..".
func ValidID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '+' && i > 0:
		case (c == '.' || c == '-') && i > 0:
		default:
			return false
		}
	}
	return true
}
