package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The part "big" takes minutes: an image of ten layers, streams of gigabytes, and many containers that live.

const (
	unpackRounds = 3
	streamRounds = 7
	streamBytes  = 2_000_000_000
	psContainers = 100
	psRounds     = 30
)

func (r *report) measureBig() {
	r.skip(r.measureUnpack())
	err := importSmall()
	r.skip(err)
	if err == nil {
		r.skip(r.measureStream())
		r.skip(r.measureDetached())
	}
	r.add("`locald load` and `run` of 500 MB in ten layers of gzip against `podman load`", unpackLocald, unpackPodman, 0.5, 0.4)
	r.add("the same against `skopeo copy` and `umoci unpack`", unpackLocald, unpackUmoci, 0.5, 0.4)
	r.add("unpacking alone against `gzip -dc`, two at a time", unpackAlone, unpackGzip, 1.3, 1)
	r.add("time of a stream through `-p` against direct loopback", streamPort, streamDirect, 2, 1.2)
	r.figures = append(r.figures,
		figure{what: "private memory of a monitor, MB", value: r.monitorMB, goal: 4, later: 2},
		figure{what: fmt.Sprintf("`locald ps` of %d containers, ms", psContainers), value: float64(r.runs(psLocald).median()) / 1e6, goal: 50, later: 20})
}

// measureUnpack measures from the archive to the root file system, and for locald the second half of that alone.
func (r *report) measureUnpack() error {
	fmt.Fprintln(os.Stderr, "bench: writing an image of", largeLayers, "layers")
	dir, archive := filepath.Join(workDir, "large"), filepath.Join(workDir, "large.tar")
	size, err := writeImage(dir, archive)
	if err != nil {
		return err
	}
	// Every run writes to directories of its own: a file system without a journal looks for long at the inodes of what
	// has just been removed (ext4, recently_deleted). What was written before has reached the disk.
	run := func(name, script string) candidate {
		return candidate{name: name, env: localdEnv(rootCaller), argv: shell("cd $(mktemp -d -p " + workDir + ") && " + script), before: unix.Sync}
	}
	load := bin("locald") + " load -i " + archive
	// --print-bundle makes the layers, and starts nothing in them.
	unpack := bin("locald") + " run --name large --print-bundle bundle " + largeImage + " /bin/true"
	loaded := run("locald load", load)
	loaded.env = append(loaded.env, "LOCALD_HOME="+filepath.Join(workDir, "loaded"))
	if err := loaded.once(); err != nil {
		return err
	}
	podman := podmanOf("", "load", "--quiet", "--input", archive).argv
	podman[slices.Index(podman, "--root")+1], podman[slices.Index(podman, "--runroot")+1] = "$PWD", "$PWD/run"
	r.measure(trial{fmt.Sprintf("An image of %d layers, %d MB, %d MB compressed", largeLayers, largeBytes/1_000_000, size/1_000_000), unpackPodman, []candidate{
		run(unpackLocald, "export LOCALD_HOME=$PWD && "+load+" && "+unpack),
		run(unpackPodman, strings.Join(podman, " ")),
		run(unpackUmoci, "skopeo copy -q oci-archive:"+archive+" oci:oci:large && umoci unpack --image oci:large bundle"),
		run(unpackAlone, "export LOCALD_HOME=$PWD && cp -al ../loaded/. . && "+unpack),
		run(unpackGzip, "find "+dir+" -size +1M | xargs -P 2 -n 1 sh -c 'gzip -dc <$0 >/dev/null'"),
	}}, unpackRounds)
	return errors.Join(os.RemoveAll(dir), os.Remove(archive))
}

func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

// measureStream compares a connection through locald run -p with one to the same program outside of a container.
func (r *report) measureStream() error {
	const direct, published = "127.0.0.1:18080", "127.0.0.1:18081"
	server := exec.Command(bin("stream"), "serve", direct)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		return err
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	remove := localdOf(rootCaller, "locald rm", "rm", "-f", "stream")
	err := localdOf(rootCaller, "locald run -p", "run", "-d", "--name", "stream", "--network", "none", "-p", published+":80", smallImage, "/bin/stream", "serve", ":80").once()
	if err != nil {
		return err
	}
	get := func(name, address string) candidate {
		return candidate{name: name, argv: []string{bin("stream"), "get", address, strconv.Itoa(streamBytes)}, before: func() { answers(address) }}
	}
	r.measure(trial{fmt.Sprintf("%d MB over one connection", streamBytes/1_000_000), streamDirect, []candidate{get(streamDirect, direct), get(streamPort, published)}}, streamRounds)
	return remove.once()
}

// answers waits until a server does.
func answers(address string) {
	for range 500 {
		if exec.Command(bin("stream"), "get", address, "1").Run() == nil {
			return
		}
		time.Sleep(pause)
	}
}

// measureDetached measures while containers of locald's and of podman's live.
func (r *report) measureDetached() (err error) {
	defer func() {
		remove := localdOf(rootCaller, "locald rm")
		remove.argv = shell(bin("locald") + " rm -f $(" + bin("locald") + " ps -q)")
		err = errors.Join(err, remove.once(), podmanOf("podman rm", "rm", "--force", "--all", "--time", "0").once())
	}()
	for i := range psContainers {
		if i%20 == 0 {
			fmt.Fprintln(os.Stderr, "bench: detached containers:", i)
		}
		if err := localdOf(rootCaller, "locald run -d", "run", "-d", "--network", "none", smallImage, "/bin/pause").once(); err != nil {
			return err
		}
		if err := podmanRun("podman run -d", "--detach", smallImage, "/bin/pause").once(); err != nil {
			return err
		}
	}
	if r.monitorMB, err = privateMB(bin("locald")); err != nil {
		return err
	}
	r.measure(trial{fmt.Sprintf("%d detached containers", psContainers), psPodman, []candidate{localdOf(rootCaller, psLocald, "ps"), podmanOf(psPodman, "ps")}}, psRounds)
	return nil
}

// privateMB is the mean memory of the processes that execute a file which they share with nobody (proc(5), smaps_rollup).
func privateMB(file string) (float64, error) {
	processes, kb := 0, 0
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != file {
			continue
		}
		text, err := os.ReadFile(filepath.Join(filepath.Dir(link), "smaps_rollup"))
		if err != nil {
			return 0, err
		}
		processes++
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			if n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB")); err == nil && strings.HasPrefix(key, "Private_") {
				kb += n
			}
		}
	}
	if processes == 0 {
		return 0, fmt.Errorf("no process executes %s", file)
	}
	return float64(kb) / float64(processes) / 1000, nil
}
