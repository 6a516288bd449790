package seccomp

import (
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

//go:generate go run generate.go -o tables.go

// The tables of system calls; x/sys has no others.
const (
	tableX86_64 = iota
	tableX86
	tableX32
	tableARM
	tableAARCH64
	tableMIPS
	tableMIPS64
	tablePPC
	tablePPC64
	tableS390X
	tableRISCV64
	tableLoongArch64
	tables
	noTable = -1
)

const (
	none    = 0xffff // in a table: no such call
	private = 0xf000 // in the table of ARM: its private calls
	ranges  = 512    // how many numbers lie before those that are special, at most
)

// bitX32 marks the calls of x32, which are x86_64 to the kernel (arch/x86/include/uapi/asm/unistd.h).
const bitX32 = 0x40000000

// arch is one SCMP_ARCH_ of the specification.
type arch struct {
	name   specs.Arch
	audit  uint32 // AUDIT_ARCH_* (linux/audit.h): what seccomp_data.arch is
	family uint8  // one kernel runs programs of one family
	table  int8
	first  uint16 // number of the first call
	half   bool   // arguments have 32 bits
	big    bool   // the upper half of an argument comes first
}

// archs are all that the specification lists, the kernel's own before those that it runs besides.
var archs = [...]arch{
	{"SCMP_ARCH_X86_64", 0xc000003e, 1, tableX86_64, 0, false, false},
	{"SCMP_ARCH_X86", 0x40000003, 1, tableX86, 0, true, false},
	{"SCMP_ARCH_X32", 0xc000003e, 1, tableX32, 0, false, false},
	{"SCMP_ARCH_AARCH64", 0xc00000b7, 2, tableAARCH64, 0, false, false},
	{"SCMP_ARCH_ARM", 0x40000028, 2, tableARM, 0, true, false},
	{"SCMP_ARCH_MIPS64", 0x80000008, 3, tableMIPS64, 5000, false, true},
	{"SCMP_ARCH_MIPS64N32", 0xa0000008, 3, noTable, 6000, true, true},
	{"SCMP_ARCH_MIPS", 0x00000008, 3, tableMIPS, 4000, true, true},
	{"SCMP_ARCH_MIPSEL64", 0xc0000008, 4, tableMIPS64, 5000, false, false},
	{"SCMP_ARCH_MIPSEL64N32", 0xe0000008, 4, noTable, 6000, true, false},
	{"SCMP_ARCH_MIPSEL", 0x40000008, 4, tableMIPS, 4000, true, false},
	{"SCMP_ARCH_PPC64", 0x80000015, 5, tablePPC64, 0, false, true},
	{"SCMP_ARCH_PPC", 0x00000014, 5, tablePPC, 0, true, true},
	{"SCMP_ARCH_PPC64LE", 0xc0000015, 6, tablePPC64, 0, false, false},
	{"SCMP_ARCH_S390X", 0x80000016, 7, tableS390X, 0, false, true},
	{"SCMP_ARCH_S390", 0x00000016, 7, noTable, 0, true, true},
	{"SCMP_ARCH_RISCV64", 0xc00000f3, 8, tableRISCV64, 0, false, false},
	{"SCMP_ARCH_LOONGARCH64", 0xc0000102, 9, tableLoongArch64, 0, false, false},
	{"SCMP_ARCH_PARISC64", 0x8000000f, 10, noTable, 0, false, true},
	{"SCMP_ARCH_PARISC", 0x0000000f, 10, noTable, 0, true, true},
	{"SCMP_ARCH_M68K", 0x00000004, 11, noTable, 0, true, true},
	{"SCMP_ARCH_SH", 0x4000002a, 12, noTable, 0, true, false},
	{"SCMP_ARCH_SHEB", 0x0000002a, 13, noTable, 0, true, true},
}

// find is the architecture of a name; nil for an unknown one.
func find(name specs.Arch) *arch {
	for i := range archs {
		if archs[i].name == name {
			return &archs[i]
		}
	}
	return nil
}

// native is the architecture of kernels for which Go builds programs by this GOARCH; nil for one without seccomp
// or without a table.
func native(goarch string) *arch {
	switch goarch {
	case "amd64":
		return find(specs.ArchX86_64)
	case "386":
		return find(specs.ArchX86)
	case "arm64":
		return find(specs.ArchAARCH64)
	case "arm", "mips", "mips64", "ppc64", "ppc64le", "s390x", "riscv64":
		return find(specs.Arch("SCMP_ARCH_" + strings.ToUpper(goarch)))
	case "mipsle":
		return find(specs.ArchMIPSEL)
	case "mips64le":
		return find(specs.ArchMIPSEL64)
	case "loong64":
		return find(specs.ArchLOONGARCH64)
	}
	return nil
}

// number is the number of the call with this index in names; ok is false when the architecture has none.
func (a *arch) number(index int) (nr uint32, ok bool) {
	n := uint32(numbers[index][a.table])
	switch {
	case n == none:
		return 0, false
	case a.table == tableX32:
		return n | bitX32, true
	case n >= private:
		return 0x0f0000 | n&0xfff, true
	}
	return n, true
}

// lookup is the index of a system call in names; -1 for an unknown one. Profiles are mostly in the order of
// the alphabet: after is the index that the name before had, and is asked first.
func lookup(name string, after int) int {
	for i := after + 1; i < len(names) && i <= after+3; i++ {
		if names[i] == name {
			return i
		}
	}
	low, high := 0, len(names)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if names[mid] < name {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(names) && names[low] == name {
		return low
	}
	return -1
}
