package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/locald/locald/internal/e2e/leaves"
	"github.com/locald/locald/internal/e2e/probe"
	"github.com/locald/locald/internal/policy"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestNoMoreThanAlone is the goal sentence of SECURITY.md: what a caller gets through the set-user-ID shim, with any
// config.json, is no more than the caller gets without it. A probe in the container, which sees the machine's whole file
// system, tries what it should not be able to; whatever works has to work for the caller alone too, who has user
// namespaces of clone(2) and newuidmap(1) (contest.alone), and for the same shim without the bit, which must take the
// same config.json but for what the sentence excepts: the cgroup with its limits, and subordinate ids. Root looks, after
// each run, at what has changed outside.
func TestNoMoreThanAlone(t *testing.T) {
	c := newContest(t)
	sites := []*site{c.newSite(t), c.newSite(t)}
	c.populate(t)
	if o := sites[0].run(largest(sites[0]), c.u.shim); o.powers == nil { // and from now on there is a base cgroup
		t.Fatal(o.result)
	}
	c.reference = sites[0].alone()
	c.seesPowers(t)
	configs := corpus()
	if len(configs) < 300 {
		t.Errorf("only %d configs", len(configs))
	}
	var next, accepted, compared, refused atomic.Int64
	t.Run("configs", func(t *testing.T) {
		for i, s := range sites {
			t.Run(itoa(i), func(t *testing.T) {
				t.Parallel()
				s.t, s.before = t, s.look()
				for {
					n := int(next.Add(1)) - 1
					if n >= len(configs) {
						return
					}
					o := s.compete(configs[n])
					switch {
					case o.powers != nil:
						compared.Add(1)
					case o.ran:
						accepted.Add(1)
					default:
						refused.Add(1)
					}
				}
			})
		}
	})
	for _, s := range sites {
		s.t = t // its cleanups are this test's
	}
	t.Logf("%d configs: %d containers tried their powers, %d ran something else, %d were refused", len(configs), compared.Load(), accepted.Load(), refused.Load())
	if compared.Load() < 150 || refused.Load() < 200 {
		t.Error("these are too few")
	}
}

// seesPowers: the probe can tell powers from none, or nothing that it says means anything.
func (c *contest) seesPowers(t *testing.T) {
	t.Helper()
	for i, want := range [][]string{
		{"write own", "signal the caller's process", "see secret", "open node-any", "mkdir in own-dir"},
		{"write own", "mount tmpfs", "bind root", "list sticky", "make a cgroup of the caller's"},
		{"write own", "mount tmpfs", "read subordinate", "drop groups", "read negative"},
		{"write own", "mount tmpfs", "mount proc", "set the host name of a namespace of its own", "a raw socket in the network of a namespace of its own"},
		{"write own", "read subordinate", "mount mqueue", "mount sysfs"},
	} {
		for _, what := range want {
			if !slices.Contains(c.reference[i].Can, what) {
				t.Errorf("alone, in way %d, the caller cannot %s:\n%s", i, what, strings.Join(c.reference[i].Can, "; "))
			}
		}
		for _, what := range []string{"read secret", "write other", "read stranger", "list closed", "trace root's process", "signal another's process", "write sysctl kernel/core_pattern of the machine", "open node", "set oom_score_adj to -1000", "make a cgroup of another's", "write cgroup.max.descendants of the caller's cgroup"} {
			if slices.Contains(c.reference[i].Can, what) {
				t.Errorf("alone, in way %d, the caller can %s", i, what)
			}
		}
	}
}

// config is one of the corpus, made anew for each site.
type config struct {
	name string
	make func(s *site) *specs.Spec
}

// compete runs a config.json with the bit and without it.
func (s *site) compete(c config) *outcome {
	t := s.t
	for _, kind := range tellingHooks {
		os.Remove(s.hookFile(kind))
	}
	spec := c.make(s)
	o := s.run(spec, s.u.shim)
	for _, what := range s.outside() {
		t.Errorf("%s: %s", c.name, what)
		s.before = s.look()
	}
	s.compareHooks(c.name)
	if o.powers != nil {
		for _, what := range beyond(o.powers, s.reference...) {
			t.Errorf("%s: the container %s", c.name, what)
		}
	}
	plain, comparable := withoutExceptions(spec, s.u)
	if !o.ran || !comparable {
		return o
	}
	without := s.run(plain, s.plain)
	switch {
	case !without.ran:
		t.Errorf("%s: it ran through the set-user-ID bit, and not without: %s", c.name, without.result)
	case o.powers != nil && without.powers != nil:
		for _, what := range append(beyond(o.powers, without.powers), looser(o.powers, without.powers)...) {
			t.Errorf("%s: through the bit the container %s", c.name, what)
		}
	case o.powers != nil:
		t.Errorf("%s: the probe ran through the set-user-ID bit, and not without: %s", c.name, without.result)
	}
	return o
}

// compareHooks looks at what hooks have said that ran as long as there was a shim.
func (s *site) compareHooks(name string) {
	for _, kind := range tellingHooks {
		text, err := os.ReadFile(s.hookFile(kind))
		if err != nil {
			continue
		}
		p := powersOf(s.t, &result{stdout: string(text)})
		if p == nil {
			s.t.Errorf("%s: the %s hook said %s", name, kind, text)
			continue
		}
		for _, what := range beyond(p, s.reference...) {
			s.t.Errorf("%s: the %s hook %s", name, kind, what)
		}
	}
}

var tellingHooks = []string{"createRuntime", "createContainer", "startContainer", "poststart", "poststop"}

func (s *site) hookFile(kind string) string { return filepath.Join(s.bait, "own-dir", kind) }

// withoutExceptions is a spec without what the goal sentence excepts. It is not comparable with more ids than the
// caller's own, which without the bit nobody maps.
func withoutExceptions(spec *specs.Spec, u *account) (plain *specs.Spec, comparable bool) {
	plain = clone(spec)
	if plain.Linux == nil {
		return plain, true
	}
	plain.Linux.CgroupsPath, plain.Linux.Resources = "", nil
	for _, maps := range [][]specs.LinuxIDMapping{plain.Linux.UIDMappings, plain.Linux.GIDMappings} {
		if len(maps) > 1 || len(maps) == 1 && (maps[0].Size > 1 || int(maps[0].HostID) != u.uid) {
			return plain, false
		}
	}
	return plain, true
}

func clone(spec *specs.Spec) *specs.Spec {
	text, err := json.Marshal(spec)
	if err != nil {
		panic(err)
	}
	again := new(specs.Spec)
	if err := json.Unmarshal(text, again); err != nil {
		panic(err)
	}
	return again
}

// largest is the config.json that hands a container as much as a caller can ask for: all capabilities, and the machine's
// file system. What the corpus changes stands first of its kind.
func largest(s *site) *specs.Spec {
	spec := clone(s.bundle.spec)
	spec.Process.Args = []string{"/" + probe.Name, s.trial("/host")}
	spec.Process.NoNewPrivileges = false
	withCaps(spec, allCapabilities...)
	spec.Mounts = append([]specs.Mount{{Destination: "/x", Type: "tmpfs", Source: "tmpfs"}}, spec.Mounts...)
	addMount(spec, "/host", "bind", "/", "rbind")
	dropNamespace(spec, specs.IPCNamespace) // nothing needs it
	spec.Linux.Namespaces = append([]specs.LinuxNamespace{{Type: specs.IPCNamespace}}, spec.Linux.Namespaces...)
	return clone(spec) // which shares nothing
}

// withSubordinates maps all that the admin gave the caller.
func withSubordinates(s *site) *specs.Spec {
	spec := largest(s)
	more := specs.LinuxIDMapping{ContainerID: 1, HostID: uint32(s.u.sub), Size: subordinates}
	spec.Linux.UIDMappings = append(spec.Linux.UIDMappings, more)
	spec.Linux.GIDMappings = append(spec.Linux.GIDMappings, more)
	return spec
}

var allCapabilities = strings.Fields(`CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
	CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER CAP_SYS_MODULE
	CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG
	CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND
	CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE`)

// corpus has, for every property of the specification, the largest config.json with values in its place, a second one
// where the policy does not refuse every value; what people write; and what an attacker would.
func corpus() []config {
	all := []config{{"largest", largest}, {"with ranges", withSubordinates}}
	for _, leaf := range leaves.Of(reflect.TypeFor[specs.Spec]()) {
		for _, n := range []int{0, 2} {
			if n > 0 && (refusedRow(leaf) || !leaves.Put(new(specs.Spec), leaf, n-1)) {
				break
			}
			all = append(all, config{leaf + ", value " + itoa(n), func(s *site) *specs.Spec {
				spec := largest(s)
				leaves.Put(spec, leaf, n)
				return spec
			}})
		}
	}
	changed := func(name string, base func(*site) *specs.Spec, c change) {
		all = append(all, config{c.name + name, func(s *site) *specs.Spec {
			spec := base(s)
			c.do(s, spec)
			return spec
		}})
	}
	for _, c := range slices.Concat(ordinary(), hostileIDs(), hostileNamespaces(), hostileMounts(), hostileCgroups(), hostileRest()) {
		changed("", largest, c)
	}
	for _, c := range slices.Concat(hostileIDs(), hostileNamespaces(), hostileMounts()) { // where ids make a difference
		changed(", with ranges", withSubordinates, c)
	}
	slices.SortFunc(all, func(a, b config) int { return strings.Compare(a.name, b.name) })
	return all
}

// refusedRow says whether the policy has nothing good to say about a property.
func refusedRow(leaf string) bool {
	return slices.ContainsFunc(policy.Rows[:], func(r policy.Row) bool {
		head, all := strings.CutSuffix(r.Pattern, "**")
		return r.Verdict == policy.Refused && (r.Pattern == leaf || all && strings.HasPrefix(leaf, head))
	})
}
