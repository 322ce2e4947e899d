package process

import (
	"sync"

	v1 "berth/berthd/gen/berth/v1"
)

const (
	// keptBytes is how many bytes of a program's output are kept for late or slow readers.
	keptBytes = 1 << 20
	// crowdedBytes is how many bytes of each program's output are kept if all outputs together exceed allKeptBytes.
	crowdedBytes = 64 << 10
	allKeptBytes = 32 << 20
	// chunkBytes is the size up to which small writes are joined.
	chunkBytes = 32 << 10
)

// budget counts the kept bytes of all programs' outputs.
type budget struct {
	mu    sync.Mutex
	bytes int
}

func (b *budget) add(bytes int) (crowded bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bytes += bytes
	return b.bytes > allKeptBytes
}

// chunk is a contiguous piece of the output of one stream.
type chunk struct {
	stream v1.OutputStream
	offset uint64
	bytes  []byte
}

// output holds the last bytes that a program wrote. It has one writer and any number of readers.
type output struct {
	mu      sync.Mutex
	budget  *budget
	limit   uint64 // the number of bytes that readers can get; 0: no limit
	chunks  []chunk
	held    int
	end     uint64 // the position after the last byte that readers can get
	written uint64
	closed  bool
	changed chan struct{} // closed and replaced at each change
	// pacers are the positions of the readers for which the writer waits.
	pacers map[*cursor]struct{}
}

// cursor is a reader's position.
type cursor struct{ offset uint64 }

func newOutput(budget *budget, limit uint64) *output {
	return &output{budget: budget, limit: limit, changed: make(chan struct{}), pacers: map[*cursor]struct{}{}}
}

func (o *output) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// write adds a copy of the bytes that the program wrote. It waits for the pacing readers.
func (o *output) write(stream v1.OutputStream, bytes []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written += uint64(len(bytes))
	if o.limit > 0 {
		bytes = bytes[:min(uint64(len(bytes)), o.limit-o.end)]
	}
	if len(bytes) == 0 {
		return
	}
	for o.mustWait(len(bytes)) {
		changed := o.changed
		o.mu.Unlock()
		<-changed
		o.mu.Lock()
	}
	last := len(o.chunks) - 1
	if last >= 0 && o.chunks[last].stream == stream && len(o.chunks[last].bytes)+len(bytes) <= chunkBytes {
		o.chunks[last].bytes = append(o.chunks[last].bytes, bytes...)
	} else {
		o.chunks = append(o.chunks, chunk{stream, o.end, append([]byte(nil), bytes...)})
	}
	o.end += uint64(len(bytes))
	o.held += len(bytes)
	keep := keptBytes
	if o.budget.add(len(bytes)) {
		keep = crowdedBytes
	}
	o.drop(keep)
	o.wake()
}

// mustWait returns whether the writer must wait, because after `more` bytes a reader that called `pace` would be more than one chunk
// behind.
func (o *output) mustWait(more int) bool {
	for pacer := range o.pacers {
		if o.end+uint64(more)-pacer.offset > chunkBytes {
			return true
		}
	}
	return false
}

// drop removes the oldest chunks until at most `keep` bytes are held.
func (o *output) drop(keep int) {
	for o.held > keep && len(o.chunks) > 1 {
		gone := len(o.chunks[0].bytes)
		o.held -= gone
		o.budget.add(-gone)
		o.chunks[0].bytes = nil
		o.chunks = o.chunks[1:]
	}
}

// close records that the program writes no more.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.wake()
}

// forget frees the memory. Remaining readers get no more output.
func (o *output) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.budget.add(-o.held)
	o.chunks, o.held, o.closed = nil, 0, true
	o.wake()
}

// next returns the output after the cursor, moves the cursor behind this output, and returns how many bytes between were dropped.
// If there is no output, it returns a channel that is closed at the next change, and whether the output is complete.
func (o *output) next(at *cursor) (found chunk, dropped uint64, changed <-chan struct{}, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if oldest := o.oldest(); at.offset < oldest {
		dropped = oldest - at.offset
		at.offset = oldest
	}
	if at.offset >= o.end {
		return chunk{}, dropped, o.changed, o.closed
	}
	// The search starts at the end, because most readers are near the end.
	index := len(o.chunks) - 1
	for o.chunks[index].offset > at.offset {
		index--
	}
	found = o.chunks[index]
	found.bytes = found.bytes[at.offset-found.offset:]
	found.offset = at.offset
	at.offset += uint64(len(found.bytes))
	if _, paces := o.pacers[at]; paces {
		o.wake()
	}
	return found, dropped, nil, false
}

func (o *output) oldest() uint64 {
	if len(o.chunks) == 0 {
		return o.end
	}
	return o.chunks[0].offset
}

// pace makes the writer wait for this reader until the returned function is called.
func (o *output) pace(at *cursor) (stop func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pacers[at] = struct{}{}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.pacers, at)
		o.wake()
	}
}

// figures returns the number of all written bytes, the number of bytes above the limit, and the position of the oldest kept byte.
func (o *output) figures() (written, discarded, oldest uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written, o.written - o.end, o.oldest()
}
