// Package usage reports how much CPU, memory, disk and network the session's container uses.
package usage

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Service implements the MetricsService.
type Service struct {
	// Paths are the folders whose file systems are reported.
	Paths []string
	// Root is the folder that contains /proc and /sys: "" in a container, another folder in tests.
	Root string
}

var _ berthv1connect.MetricsServiceHandler = (*Service)(nil)

// Get implements MetricsService. Values that the kernel does not report are 0.
func (s *Service) Get(context.Context, *v1.GetMetricsRequest) (*v1.GetMetricsResponse, error) {
	response := &v1.GetMetricsResponse{At: timestamppb.New(time.Now())}
	if _, err := os.Stat(s.Root + "/sys/fs/cgroup/cgroup.controllers"); err == nil {
		s.cgroup2(response)
	} else {
		s.cgroup1(response)
	}
	for _, path := range s.Paths {
		var stat unix.Statfs_t
		if unix.Statfs(path, &stat) == nil {
			size := uint64(stat.Bsize)
			disk := &v1.DiskUsage{Path: path, UsedBytes: (stat.Blocks - stat.Bfree) * size, TotalBytes: stat.Blocks * size}
			response.Disks = append(response.Disks, disk)
		}
	}
	response.NetworkReceivedBytes, response.NetworkSentBytes = network(s.read("/proc/net/dev"))
	folders, _ := filepath.Glob(s.Root + "/proc/[0-9]*")
	response.Processes = uint32(len(folders))
	return response, nil
}

// In a container, the root of the mount is the container's own cgroup.
func (s *Service) cgroup2(response *v1.GetMetricsResponse) {
	const folder = "/sys/fs/cgroup/"
	response.CpuNanoseconds = values(s.read(folder + "cpu.stat"))["usage_usec"] * 1000
	if limit := strings.Fields(string(s.read(folder + "cpu.max"))); len(limit) == 2 {
		quota, _ := strconv.ParseFloat(limit[0], 64) // "max" means no limit, and becomes 0
		if period, _ := strconv.ParseFloat(limit[1], 64); period > 0 {
			response.CpuLimit = quota / period
		}
	}
	cache := values(s.read(folder + "memory.stat"))["inactive_file"]
	s.memory(response, s.number(folder+"memory.current"), cache, s.number(folder+"memory.max"))
}

func (s *Service) cgroup1(response *v1.GetMetricsResponse) {
	const folder = "/sys/fs/cgroup/"
	for _, cpu := range []string{"cpuacct/", "cpu,cpuacct/", "cpu/"} {
		if response.CpuNanoseconds = s.number(folder + cpu + "cpuacct.usage"); response.CpuNanoseconds > 0 {
			break
		}
	}
	// A quota of -1 means no limit. It can't be parsed as an unsigned number, so it becomes 0.
	quota, period := s.number(folder+"cpu/cpu.cfs_quota_us"), s.number(folder+"cpu/cpu.cfs_period_us")
	if period > 0 {
		response.CpuLimit = float64(quota) / float64(period)
	}
	cache := values(s.read(folder + "memory/memory.stat"))["total_inactive_file"]
	limit := s.number(folder + "memory/memory.limit_in_bytes")
	if limit >= 1<<62 { // the kernel's value for no limit
		limit = 0
	}
	s.memory(response, s.number(folder+"memory/memory.usage_in_bytes"), cache, limit)
}

func (s *Service) memory(response *v1.GetMetricsResponse, used, cache, limit uint64) {
	response.MemoryCacheBytes = min(cache, used)
	response.MemoryBytes = used - response.MemoryCacheBytes
	response.MemoryLimitBytes = limit
}

func (s *Service) read(name string) []byte {
	text, _ := os.ReadFile(s.Root + name)
	return text
}

func (s *Service) number(name string) uint64 {
	number, _ := strconv.ParseUint(string(bytes.TrimSpace(s.read(name))), 10, 64)
	return number
}

// values reads a file with a name and a number in each line.
func values(text []byte) map[string]uint64 {
	found := map[string]uint64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, number, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseUint(number, 10, 64); err == nil {
			found[name] = value
		}
	}
	return found
}

// network adds up the bytes of all interfaces in /proc/net/dev except loopback.
func network(text []byte) (received, sent uint64) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, rest, found := strings.Cut(lines.Text(), ":")
		fields := strings.Fields(rest)
		if !found || strings.TrimSpace(name) == "lo" || len(fields) < 9 {
			continue
		}
		in, _ := strconv.ParseUint(fields[0], 10, 64)
		out, _ := strconv.ParseUint(fields[8], 10, 64)
		received, sent = received+in, sent+out
	}
	return received, sent
}
