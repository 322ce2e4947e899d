package process

import (
	"os"
	"syscall"
)

// readWhenReady waits until the file has data and reads the data into a buffer of `buffers`. At the end of the file, it reads 0
// bytes. If the waiting fails, the buffer is nil; the error is os.ErrDeadlineExceeded after the file's deadline.
func readWhenReady(file *os.File) (buffer *[chunkBytes]byte, n int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	waiting := raw.Read(func(fd uintptr) bool {
		buffer = buffers.Get().(*[chunkBytes]byte)
		n, err = read(fd, buffer[:])
		if err == syscall.EAGAIN {
			buffers.Put(buffer)
			buffer, n, err = nil, 0, nil
			return false
		}
		return true
	})
	if waiting != nil {
		return nil, 0, waiting
	}
	return buffer, n, err
}

// readNow reads available data without waiting. If there is none, the error is syscall.EAGAIN. At the end of the file, it reads 0
// bytes.
func readNow(file *os.File, into []byte) (n int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	outer := raw.Read(func(fd uintptr) bool {
		n, err = read(fd, into)
		return true
	})
	if outer != nil {
		return 0, outer
	}
	return n, err
}

func read(fd uintptr, into []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), into)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
