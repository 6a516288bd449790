package main

// slots is how many containers run at a time where many are started.
const slots = 8

// The names of the candidates, which the report's figures refer to.
const (
	shimRoot  = "locald-shim, root"
	shimUser  = "locald-shim, user"
	shimHere  = "locald-shim, user, no cgroup"
	crunRoot  = "crun"
	crunUser  = "crun, user, no cgroup"
	runcRoot  = "runc"
	floorRoot = "C floor"
	embedRoot = "runc's libcontainer, embedded"

	versionShim = "locald-shim --version"
	versionUser = "locald version"
	emptyGo     = "empty Go program"
	emptyC      = "empty C program"

	localdRoot     = "locald run builtin:hello, root"
	localdShimRoot = "bundle run of its bundle, root"
	localdUser     = "locald run builtin:hello, user"
	localdShimUser = "bundle run of its bundle, user"

	// What follows the name of a runtime for what engines ask of it.
	lifeSuffix  = ": create, start, delete"
	execSuffix  = ": exec"
	stateSuffix = ": state"

	crowdStateSuffix = ": state of one of many"
	crowdListSuffix  = ": list of many"

	profileSuffix = ", 350 rules"
	coldSuffix    = ", cold"

	imageLocald = "locald run of an image"
	imageShim   = "bundle run of its bundle"
	imagePodman = "podman run of it"

	tryLocald    = "locald try"
	tryBwrap     = "bwrap, the same view"
	tryBwrapBare = "bwrap, all to read and nothing else"

	unpackLocald = "locald load and run"
	unpackPodman = "podman load"
	unpackUmoci  = "skopeo copy and umoci unpack"
	unpackAlone  = "locald run of a loaded image"
	unpackGzip   = "gzip -dc alone, two at a time"

	streamDirect = "direct"
	streamPort   = "locald run -p"

	psLocald = "locald ps"
	psPodman = "podman ps"
)
