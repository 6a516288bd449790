// Command stream measures a connection: `stream serve ADDRESS` sends whoever connects as many bytes as they ask for, and
// `stream get ADDRESS BYTES` asks for some and reads them.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serve(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "get":
		err = get(os.Args[2], os.Args[3])
	default:
		err = fmt.Errorf("usage: stream serve ADDRESS, stream get ADDRESS BYTES")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stream:", err)
		os.Exit(1)
	}
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go send(conn)
	}
}

func send(conn net.Conn) {
	defer conn.Close()
	var left int64
	if binary.Read(conn, binary.BigEndian, &left) != nil {
		return
	}
	block := make([]byte, 1<<18)
	for left > 0 {
		n, err := conn.Write(block[:min(left, int64(len(block)))])
		if left -= int64(n); err != nil {
			return
		}
	}
}

func get(address, bytes string) error {
	want, err := strconv.ParseInt(bytes, 10, 64)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := binary.Write(conn, binary.BigEndian, want); err != nil {
		return err
	}
	block, got := make([]byte, 1<<18), int64(0)
	for {
		n, err := conn.Read(block)
		got += int64(n)
		switch {
		case err == io.EOF && got == want:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%d bytes came, not %d", got, want)
		case err != nil:
			return err
		}
	}
}
