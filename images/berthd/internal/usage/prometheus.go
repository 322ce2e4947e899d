package usage

import (
	"context"
	"fmt"
	"strings"
)

// Text returns most values of the answer of Get, in Prometheus' text format.
func (s *Service) Text(ctx context.Context) string {
	got, _ := s.Get(ctx, nil) // it never fails
	var text strings.Builder
	family := func(name, kind, help string) {
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	figure := func(name, kind, help string, value float64) {
		family(name, kind, help)
		fmt.Fprintf(&text, "%s %g\n", name, value)
	}
	figure("session_cpu_seconds_total", "counter", "CPU time of the container.", float64(got.CpuNanoseconds)/1e9)
	figure("session_memory_bytes", "gauge", "Memory of the container, without the page cache that can be given back.", float64(got.MemoryBytes))
	figure("session_network_received_bytes_total", "counter", "Bytes that the pod has received.", float64(got.NetworkReceivedBytes))
	figure("session_network_sent_bytes_total", "counter", "Bytes that the pod has sent.", float64(got.NetworkSentBytes))
	figure("session_processes", "gauge", "Programs in the container.", float64(got.Processes))
	family("session_disk_used_bytes", "gauge", "Bytes in use on the file system of a root.")
	for _, disk := range got.Disks {
		fmt.Fprintf(&text, "session_disk_used_bytes{path=%q} %d\n", disk.Path, disk.UsedBytes)
	}
	return text.String()
}
