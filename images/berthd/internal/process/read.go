package process

import (
	"os"
	"syscall"
)

// readWhenReady waits until there is something to read and reads it into a borrowed buffer, which is nil after an error of the
// waiting: os.ErrDeadlineExceeded once the file's deadline has passed. 0 bytes are the end.
func readWhenReady(file *os.File) (buffer *[partBytes]byte, n int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	waiting := raw.Read(func(fd uintptr) bool {
		buffer = buffers.Get().(*[partBytes]byte)
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

// readNow reads what is there: syscall.EAGAIN if that is nothing, 0 bytes at the end.
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
