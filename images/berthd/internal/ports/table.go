// Package ports lists the TCP ports on which programs of the session listen, and forwards connections to them.
package ports

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	v1 "berth/berthd/gen/berth/v1"
)

// listener is a listening socket in the kernel's table.
type listener struct {
	address netip.AddrPort
	inode   string
}

// listeners reads the kernel's table of TCP sockets for IPv4 or IPv6, and returns the listening sockets.
func listeners(table io.Reader) ([]listener, error) {
	const listening = "0A"
	var found []listener
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != listening {
			continue
		}
		address, err := parseAddress(fields[1])
		if err != nil {
			return nil, err
		}
		found = append(found, listener{address, fields[9]})
	}
	return found, lines.Err()
}

// parseAddress parses an address of the kernel's table, such as 0100007F:170C. Each group of four bytes is in the machine's byte
// order.
func parseAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	bytes, err2 := hex.DecodeString(address)
	if err != nil || err2 != nil || (len(bytes) != 4 && len(bytes) != 16) {
		return netip.AddrPort{}, fmt.Errorf("the kernel's table of sockets has the address %q", text)
	}
	for i := 0; i < len(bytes); i += 4 {
		binary.BigEndian.PutUint32(bytes[i:], binary.NativeEndian.Uint32(bytes[i:]))
	}
	ip, _ := netip.AddrFromSlice(bytes)
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}

// allListeners returns the listening sockets in the process's network namespace.
func allListeners() ([]listener, error) {
	var all []listener
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.Open(name)
		if os.IsNotExist(err) {
			continue // the machine has no IPv6
		}
		if err != nil {
			return nil, err
		}
		found, err := listeners(table)
		table.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// listeningPorts returns the listening ports in the process's network namespace, without the hidden ports.
func listeningPorts(hidden []uint16) ([]*v1.ListeningPort, error) {
	all, err := allListeners()
	if err != nil {
		return nil, err
	}
	inodes := map[string]int{}
	var ports []*v1.ListeningPort
	for _, one := range all {
		if slices.Contains(hidden, one.address.Port()) {
			continue
		}
		inodes["socket:["+one.inode+"]"] = len(ports)
		ports = append(ports, &v1.ListeningPort{Port: uint32(one.address.Port()), Address: one.address.Addr().String()})
	}
	nameOwners(ports, inodes)
	slices.SortFunc(ports, func(a, b *v1.ListeningPort) int {
		if a.Port != b.Port {
			return int(a.Port) - int(b.Port)
		}
		return strings.Compare(a.Address, b.Address)
	})
	return slices.CompactFunc(ports, func(a, b *v1.ListeningPort) bool { return a.Port == b.Port && a.Address == b.Address }), nil
}

// nameOwners adds the names of the programs that hold the sockets. It can't find programs of other users or other containers.
func nameOwners(ports []*v1.ListeningPort, inodes map[string]int) {
	if len(ports) == 0 {
		return
	}
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		descriptors, err := os.ReadDir(filepath.Join(folder, "fd"))
		if err != nil {
			continue
		}
		for _, descriptor := range descriptors {
			target, err := os.Readlink(filepath.Join(folder, "fd", descriptor.Name()))
			index, ours := inodes[target]
			if err != nil || !ours || ports[index].Pid != 0 {
				continue
			}
			pid, _ := strconv.ParseUint(filepath.Base(folder), 10, 32)
			name, _ := os.ReadFile(filepath.Join(folder, "comm"))
			ports[index].Pid, ports[index].Program = uint32(pid), strings.TrimSpace(string(name))
		}
	}
}

// Listens returns whether a program listens on the port.
func Listens(port uint16) bool {
	all, err := allListeners()
	return err == nil && slices.ContainsFunc(all, func(one listener) bool { return one.address.Port() == port })
}
