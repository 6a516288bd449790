package e2e

import (
	"debug/elf"
	"encoding/binary"
	"runtime"
)

// tinyProgram is exit(0) as an ELF file of one page: it needs no memory to speak of and no thread.
var tinyProgram = tiny(
	"\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05",             // mov eax, 60; xor edi, edi; syscall
	"\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4") // mov x8, 93; mov x0, 0; svc 0

// tinyForever waits until it is killed: pause(2), and ppoll(2) where there is none.
var tinyForever = tiny(
	"\xb8\x22\x00\x00\x00\x0f\x05\xeb\xf7", // mov eax, 34; syscall; jmp -9
	"\x28\x09\x80\xd2\x00\x00\x80\xd2\x01\x00\x80\xd2\x02\x00\x80\xd2\x03\x00\x80\xd2\x01\x00\x00\xd4\xfa\xff\xff\x17")

func tiny(amd64, arm64 string) string {
	machine, code := elf.EM_X86_64, amd64
	if runtime.GOARCH == "arm64" {
		machine, code = elf.EM_AARCH64, arm64
	}
	const base, start = 0x400000, 64 + 56
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Entry: base + start, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	size := uint64(start + len(code))
	p := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000}
	b, _ := binary.Append(nil, binary.LittleEndian, h)
	b, _ = binary.Append(b, binary.LittleEndian, p)
	return string(b) + code
}
