package process

import (
	"bytes"
	"testing"
)

func TestWhenAllHoldTooMuchEachKeepsLess(t *testing.T) {
	budget := &budget{}
	var outputs []*output
	block := bytes.Repeat([]byte("x"), chunkBytes)
	for range 100 {
		o := newOutput(budget, 0)
		for range keptBytes / chunkBytes {
			o.write(stdout, block)
		}
		outputs = append(outputs, o)
	}
	if budget.bytes > allKeptBytes+100*crowdedBytes {
		t.Errorf("the budget counts %d bytes", budget.bytes)
	}
	held := 0
	for _, o := range outputs {
		if o.held < chunkBytes {
			t.Errorf("a program keeps only %d bytes", o.held)
		}
		held += o.held
		o.forget()
	}
	if held == 0 || budget.bytes != 0 {
		t.Errorf("the budget counted %d bytes, and counts %d after all programs are forgotten", held, budget.bytes)
	}
}

func TestSmallWritesArePutTogetherAndPositionsAreExact(t *testing.T) {
	o := newOutput(&budget{}, 0)
	for i := range 1000 {
		o.write(stdout, []byte{byte(i)})
	}
	o.write(stderr, []byte("!"))
	if len(o.chunks) != 2 {
		t.Errorf("the output has %d chunks", len(o.chunks))
	}
	at := &cursor{997}
	found, dropped, _, _ := o.next(at)
	if !bytes.Equal(found.bytes, []byte{997 % 256, 998 % 256, 999 % 256}) || found.offset != 997 || dropped != 0 || at.offset != 1000 {
		t.Errorf("got %v", found)
	}
	if found, _, _, _ = o.next(at); found.stream != stderr || found.offset != 1000 {
		t.Errorf("got %v", found)
	}
	if _, _, changed, closed := o.next(at); changed == nil || closed {
		t.Error("there must be no more output yet")
	}
	o.close()
	if _, _, _, closed := o.next(at); !closed {
		t.Error("the output must have ended")
	}
	// A position after the last byte means the end of the output.
	if found, dropped, _, _ := o.next(&cursor{1 << 40}); found.bytes != nil || dropped != 0 {
		t.Errorf("got %v", found)
	}
}
