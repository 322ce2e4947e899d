package process

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/internal/testservice"
)

// usedNow counts the open file descriptors and the live heap bytes of this process.
func usedNow(t *testing.T) (descriptors int, heap uint64) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // the second garbage collection empties pools
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return len(entries), memory.HeapAlloc
}

// The test runs 200 programs with 100 kB of output each, and watches 50 of them. Afterwards, there must be no more open file
// descriptors than before, and at most 2 MiB more of heap memory.
func TestManyProgramsLeaveNothingBehind(t *testing.T) {
	f := open(t)
	f.run(t, shell("true")) // opens files that stay open, such as the connection
	descriptors, heap := usedNow(t)

	const programs, watched = 200, 50
	var ids [programs]uint64
	for i := range ids {
		id, stream := f.start(t, shell("head -c 100000 /dev/zero; exec sleep 600"))
		ids[i] = id
		stream.Close()
	}
	for _, id := range ids {
		testservice.Until(t, "all programs have written their output", func() bool { return f.written(t, id) == 100000 })
	}
	var readers sync.WaitGroup
	var got [watched]result
	var first [watched]chan struct{}
	for i := range got {
		first[i] = make(chan struct{})
		readers.Go(func() {
			stream, err := f.client.Attach(f.ctx, &v1.AttachRequest{Id: ids[i]})
			if err != nil || !stream.Receive() {
				t.Error(err)
				return
			}
			close(first[i])
			got[i] = collect(t, stream)
		})
	}
	for _, one := range first {
		<-one
	}
	busyDescriptors, busyHeap := usedNow(t)
	if got := len(f.list(t)); got != programs+1 {
		t.Errorf("%d programs are in the list", got)
	}
	for _, id := range ids {
		if _, err := f.client.Signal(f.ctx, &v1.SignalRequest{Id: id, Signal: uint32(syscall.SIGTERM)}); err != nil {
			t.Fatal(err)
		}
	}
	readers.Wait()
	for i, one := range got {
		if len(one.order) != 100000 || one.ended.Signal != uint32(syscall.SIGTERM) {
			t.Errorf("reader %d got %d bytes and the end %v", i, len(one.order), one.ended)
		}
	}
	testservice.Until(t, "all programs have ended", func() bool {
		for _, one := range f.list(t) {
			if one.Ended == nil {
				return false
			}
		}
		return true
	})
	if kept := len(f.list(t)); kept > mostEnded {
		t.Errorf("the service keeps %d ended programs", kept)
	}
	// Berthd forgets an ended program after some minutes. The test does this at once.
	f.service.mu.Lock()
	for _, p := range f.service.programs {
		p.endedAt = p.endedAt.Add(-endedFor)
	}
	f.service.forgetOld()
	f.service.mu.Unlock()
	if f.service.budget.bytes != 0 {
		t.Errorf("%d bytes of output belong to no program", f.service.budget.bytes)
	}
	afterDescriptors, afterHeap := usedNow(t)
	t.Log(fmt.Sprintf("descriptors %d, %d with all programs, %d after; heap %d kB, %d kB, %d kB", descriptors, busyDescriptors,
		afterDescriptors, heap>>10, busyHeap>>10, afterHeap>>10))
	if afterDescriptors > descriptors {
		t.Errorf("%d descriptors were open before the test and %d after", descriptors, afterDescriptors)
	}
	if busyDescriptors-descriptors > 2*programs {
		t.Errorf("%d descriptors for %d programs", busyDescriptors-descriptors, programs)
	}
	if afterHeap > heap+2<<20 {
		t.Errorf("the heap had %d kB before the test and %d kB after", heap>>10, afterHeap>>10)
	}
}

func (f fixture) list(t *testing.T) []*v1.Process {
	t.Helper()
	list, err := f.client.List(f.ctx, &v1.ListProcessesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Processes
}
