package usage

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "berth/berthd/gen/berth/v1"
)

// get writes the files and returns the usage that the service reads from them.
func get(t *testing.T, files map[string]string) *v1.GetMetricsResponse {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	response, err := (&Service{Root: root, Paths: []string{root}}).Get(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Disks) != 1 || response.Disks[0].TotalBytes < response.Disks[0].UsedBytes || response.Disks[0].UsedBytes == 0 {
		t.Errorf("disks are %v", response.Disks)
	}
	return response
}

const dev = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  900       9    0    0    0     0          0         0   900       9    0    0    0     0       0          0
  eth0: 1000       2    0    0    0     0          0         0   300       4    0    0    0     0       0          0
  eth1:   10       2    0    0    0     0          0         0     3       4    0    0    0     0       0          0
`

func TestReadsCgroup2(t *testing.T) {
	got := get(t, map[string]string{
		"sys/fs/cgroup/cgroup.controllers": "cpu memory", "sys/fs/cgroup/cpu.stat": "usage_usec 1500\nuser_usec 1000\n",
		"sys/fs/cgroup/cpu.max": "150000 100000\n", "sys/fs/cgroup/memory.current": "1000000\n",
		"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.stat": "anon 1\ninactive_file 400000\n",
		"proc/net/dev": dev, "proc/1/comm": "", "proc/22/comm": "",
	})
	if got.CpuNanoseconds != 1_500_000 || got.CpuLimit != 1.5 || got.MemoryBytes != 600_000 || got.MemoryCacheBytes != 400_000 ||
		got.MemoryLimitBytes != 0 || got.NetworkReceivedBytes != 1010 || got.NetworkSentBytes != 303 || got.Processes != 2 {
		t.Errorf("got %v", got)
	}
}

func TestTellsPrometheus(t *testing.T) {
	text := (&Service{Root: t.TempDir(), Paths: []string{"/"}}).Text(t.Context())
	lines := strings.Split(text, "\n")
	for _, want := range []string{
		"# TYPE session_cpu_seconds_total counter", "session_cpu_seconds_total 0", "session_memory_bytes 0",
		"session_network_received_bytes_total 0", "session_network_sent_bytes_total 0", "session_processes 0",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in:\n%s", want, text)
		}
	}
	if !regexp.MustCompile(`(?m)^session_disk_used_bytes\{path="/"\} [1-9]\d*$`).MatchString(text) {
		t.Errorf("no disk in:\n%s", text)
	}
}

func TestReadsCgroup1(t *testing.T) {
	got := get(t, map[string]string{
		"sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "77\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
		"sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "500\n",
		"sys/fs/cgroup/memory/memory.stat": "total_inactive_file 100\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "2147483648\n",
	})
	if got.CpuNanoseconds != 77 || got.CpuLimit != 0 || got.MemoryBytes != 400 || got.MemoryLimitBytes != 2<<30 {
		t.Errorf("got %v", got)
	}
}

func TestReadsThisMachine(t *testing.T) {
	got, err := (&Service{Paths: []string{"/"}}).Get(context.Background(), nil)
	if err != nil || got.Processes == 0 || len(got.Disks) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}
