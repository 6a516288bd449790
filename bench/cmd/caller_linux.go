package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// What people call: locald run of an image that is there, and locald try, against what they would call otherwise.

// smallImage is an image of the programs that the containers here execute.
const smallImage = "docker.io/bench/small:latest"

// smallPrograms lie in its /bin.
var smallPrograms = []string{"true", "pause", "stream"}

func localdEnv(as caller) []string {
	return []string{
		"LOCALD_SHIM=" + bin("locald-shim"), "LOCALD_HOME=" + filepath.Join(home(as), "store"),
		"HOME=" + home(as), "XDG_RUNTIME_DIR=" + runtimeDir(as),
	}
}

// localdOf is a candidate that calls locald as the caller does.
func localdOf(as caller, name string, args ...string) candidate {
	return candidate{name: name, as: as, argv: append([]string{bin("locald")}, args...), env: localdEnv(as)}
}

// podmanOf is one that calls podman, as root, with all that it keeps in the benchmark's own directories.
func podmanOf(name string, args ...string) candidate {
	argv := []string{peer("podman"), "--root", filepath.Join(workDir, "podman"), "--runroot", "/run/podman", "--tmpdir", "/run/podman-tmp",
		"--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"}
	return candidate{name: name, argv: append(argv, args...)}
}

// podmanRun is podman run on the machine's network, which is the default of locald run. It is spared what would take
// CAP_SYS_RESOURCE, which not every machine for builds has: to raise limits (podman 4.3 raises one when not given), and the
// cgroup, for whose device program crun raises another.
func podmanRun(name string, args ...string) candidate {
	return podmanOf(name, append([]string{"run", "--network", "host", "--cgroups", "disabled", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"}, args...)...)
}

// importSmall gives locald, as root, and podman the small image.
func importSmall() error {
	file := filepath.Join(workDir, "small.tar")
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, name := range []string{"dev", "etc", "proc", "sys", "tmp"} { // as in any image: mount points
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, name := range smallPrograms {
		data, err := os.ReadFile(bin(name))
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: "bin/" + name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Close(), os.WriteFile(file, text.Bytes(), 0o644)); err != nil {
		return err
	}
	return errors.Join(
		localdOf(rootCaller, "locald import", "import", file, smallImage).once(),
		podmanOf("podman import", "import", file, smallImage).once())
}

// imageRuns are locald run of true in the image, podman's, and bundle run of the bundle that --print-bundle writes.
func imageRuns() ([]candidate, error) {
	bundle := filepath.Join(home(rootCaller), "image-bundle")
	if err := importSmall(); err != nil {
		return nil, err
	}
	write := localdOf(rootCaller, "--print-bundle", "run", "--name", "image", "--print-bundle", bundle, smallImage, "/bin/true")
	if err := write.once(); err != nil {
		return nil, err
	}
	// As with locald run, what is written goes with the container: without volatile its end would wait for the disk.
	config := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(config)
	if err == nil {
		err = os.WriteFile(config, bytes.Replace(text, []byte(`"userxattr"`), []byte(`"userxattr","volatile"`), 1), 0o644)
	}
	if err != nil {
		return nil, err
	}
	work := filepath.Join(bundle, "work")
	return []candidate{
		localdOf(rootCaller, imageLocald, "run", smallImage, "/bin/true"),
		// A volatile overlay leaves a directory that keeps it from being mounted once more (overlayfs.rst, "Volatile mount").
		{name: imageShim, argv: []string{bin("locald-shim"), "bundle", "run", "--bundle", bundle, "--id", "image"}, before: func() { os.RemoveAll(filepath.Join(work, "work")) }},
		podmanRun(imagePodman, "--rm", smallImage, "/bin/true"),
	}, nil
}

// tries are locald try of true in a directory of the home directory, and bwrap with the same view of the machine: all of
// it to read, that directory to write to, the rest of the home directory written to memory, new /tmp, /run, /dev and
// /proc, what only root may see hidden, and all the namespaces.
func tries() ([]candidate, error) {
	home := home(userCaller)
	project := filepath.Join(home, "project")
	if err := errors.Join(os.MkdirAll(project, 0o755), os.Chown(project, userCaller.uid, userCaller.gid)); err != nil {
		return nil, err
	}
	view := []string{"--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/run"}
	// bubblewrap has overlays since 0.9; before, the home directory is an empty one in memory.
	if help, _ := exec.Command("bwrap", "--help").Output(); strings.Contains(string(help), "--tmp-overlay") {
		view = append(view, "--overlay-src", home, "--tmp-overlay", home)
	} else {
		view = append(view, "--tmpfs", home)
	}
	view = append(view, "--bind", project, project, "--tmpfs", "/etc/ssl/private")
	for _, file := range []string{"/etc/shadow", "/etc/gshadow"} {
		view = append(view, "--ro-bind", "/dev/null", file)
	}
	own := []string{"--unshare-all", "--hostname", "try", "--new-session", "--die-with-parent", "--cap-drop", "ALL", "--chdir", project}
	bwrap := func(name string, args ...string) candidate {
		return candidate{name: name, as: userCaller, dir: project, env: []string{"HOME=" + home}, argv: append(append([]string{peer("bwrap")}, args...), "true")}
	}
	try := localdOf(userCaller, tryLocald, "try", "true")
	try.dir = project
	return []candidate{
		try,
		bwrap(tryBwrap, append(own, view...)...),
		bwrap(tryBwrapBare, "--ro-bind", "/", "/"),
	}, nil
}

// callerTrials are those of the part "caller".
func (r *report) callerTrials() []trial {
	runs, err := imageRuns()
	r.skip(err)
	views, err := tries()
	r.skip(err)
	return []trial{{"locald run of an image", imagePodman, runs}, {"locald try", tryBwrap, views}}
}

// compareCallers fills in the figures of these groups.
func (r *report) compareCallers() {
	r.add("`locald run` of an image against `podman run`", imageLocald, imagePodman, 0.1, 0.05)
	r.add("`locald run` of an image against `bundle run` of its bundle", imageLocald, imageShim, 2, 1.5)
	r.add("`locald try` against bwrap with the same view", tryLocald, tryBwrap, 1.2, 1)
}
