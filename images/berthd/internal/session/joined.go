package session

import (
	"net/http"
	"sync"
	"time"
)

// joinDelay is how long the bytes of an answer wait for further bytes. Most short commands end within this time, and the user of a
// terminal does not notice it.
const joinDelay = 5 * time.Millisecond

// joined returns a handler that sends answers in few packets, because each packet costs the gateway much time: bytes that `next`
// flushes are sent after `delay`, or with the end of the answer.
func joined(delay time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writer := &joinedWriter{ResponseWriter: w, delay: delay}
		defer writer.end()
		next.ServeHTTP(writer, r)
	})
}

// joinedWriter delays flushes.
type joinedWriter struct {
	http.ResponseWriter
	delay time.Duration

	mu    sync.Mutex
	timer *time.Timer // nil: no flush is due
	ended bool
}

func (j *joinedWriter) Write(data []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ResponseWriter.Write(data)
}

// Flush implements http.Flusher.
func (j *joinedWriter) Flush() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.timer == nil {
		j.timer = time.AfterFunc(j.delay, j.flush)
	}
}

func (j *joinedWriter) flush() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.timer = nil
	if !j.ended {
		_ = http.NewResponseController(j.ResponseWriter).Flush()
	}
}

// end stops the delayed flush, because nobody may use the answer after its handler has returned. The server then sends the rest.
func (j *joinedWriter) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	if j.timer != nil {
		j.timer.Stop()
	}
}
