// Package screen asks the X server whether the screen is ready, and for how long there was no keyboard or pointer input.
//
// It implements only the three requests of the X protocol that it needs.
package screen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const timeout = 5 * time.Second

// Screen is a connection to an X server.
type Screen struct {
	connection net.Conn
	root       uint32
	saver      byte
}

// SocketOf returns the path of the X server's socket for a display such as ":1".
func SocketOf(display string) string { return "/tmp/.X11-unix/X" + strings.TrimPrefix(display, ":") }

// Open connects to the X server of the display, such as ":1".
func Open(display string) (*Screen, error) {
	connection, err := net.DialTimeout("unix", SocketOf(display), timeout)
	if err != nil {
		return nil, err
	}
	s := &Screen{connection: connection}
	if err = s.setUp(); err == nil {
		s.saver, err = s.extension("MIT-SCREEN-SAVER")
	}
	if err != nil {
		connection.Close()
		return nil, err
	}
	return s, nil
}

// Close closes the connection.
func (s *Screen) Close() { s.connection.Close() }

// Idle returns the time since the last input by keyboard or pointer, from a user or a program.
func (s *Screen) Idle() (time.Duration, error) {
	request := []byte{s.saver, 1, 2, 0, 0, 0, 0, 0} // QueryInfo
	binary.LittleEndian.PutUint32(request[4:], s.root)
	reply, err := s.ask(request)
	if err != nil {
		return 0, err
	}
	return time.Duration(binary.LittleEndian.Uint32(reply[16:])) * time.Millisecond, nil
}

// setUp opens the connection (little-endian, protocol 11.0, without authorization) and reads the root window of the first screen.
func (s *Screen) setUp() error {
	head, err := s.exchange([]byte{'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8)
	if err != nil {
		return err
	}
	rest := make([]byte, 4*int(binary.LittleEndian.Uint16(head[6:])))
	if _, err := io.ReadFull(s.connection, rest); err != nil {
		return err
	}
	if head[0] != 1 {
		return errors.New("the X server refuses the connection")
	}
	if len(rest) < 32 {
		return errors.New("the X server's answer to the connection is too short")
	}
	vendor, formats := int(binary.LittleEndian.Uint16(rest[16:])), int(rest[21])
	at := 32 + (vendor+3)/4*4 + 8*formats
	if len(rest) < at+4 {
		return errors.New("the X server has no screen")
	}
	s.root = binary.LittleEndian.Uint32(rest[at:])
	return nil
}

func (s *Screen) extension(name string) (byte, error) {
	padded := (len(name) + 3) / 4 * 4
	request := make([]byte, 8+padded)
	request[0] = 98 // QueryExtension
	binary.LittleEndian.PutUint16(request[2:], uint16(2+padded/4))
	binary.LittleEndian.PutUint16(request[4:], uint16(len(name)))
	copy(request[8:], name)
	reply, err := s.ask(request)
	if err != nil {
		return 0, err
	}
	if reply[8] == 0 {
		return 0, fmt.Errorf("the X server has no %s", name)
	}
	return reply[9], nil
}

// ask sends a request and returns the first 32 bytes of the reply. It skips events.
func (s *Screen) ask(request []byte) ([]byte, error) {
	head, err := s.exchange(request, 32)
	for ; err == nil; _, err = io.ReadFull(s.connection, head) {
		switch head[0] {
		case 0:
			return nil, fmt.Errorf("X error %d", head[1])
		case 1:
			_, err := io.CopyN(io.Discard, s.connection, 4*int64(binary.LittleEndian.Uint32(head[4:])))
			return head, err
		}
	}
	return nil, err
}

func (s *Screen) exchange(request []byte, size int) ([]byte, error) {
	if err := s.connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if _, err := s.connection.Write(request); err != nil {
		return nil, err
	}
	answer := make([]byte, size)
	_, err := io.ReadFull(s.connection, answer)
	return answer, err
}
