// The two directions of an exec's pipes, each held to its window.
package main

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"
)

// inbox holds stdin that came from the host and was not yet taken by the process.
// It never holds more than the window, for the host may send only what it has credit for.
type inbox struct {
	stream *stream
	pipe   *os.File

	mu      sync.Mutex
	changed *sync.Cond
	queue   []byte
	ended   bool // the host closed stdin
	left    bool // nobody will read any more
}

func newInbox(st *stream, pipe *os.File) *inbox {
	in := &inbox{stream: st, pipe: pipe}
	in.changed = sync.NewCond(&in.mu)
	return in
}

// push is called by the reading goroutine and never blocks.
func (in *inbox) push(data []byte) (why string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.left || in.ended {
		return ""
	}
	if len(in.queue)+len(data) > windowBytes {
		return "more stdin than there was credit for"
	}
	in.queue = append(in.queue, data...)
	in.changed.Signal()
	return ""
}

func (in *inbox) finish() {
	in.mu.Lock()
	in.ended = true
	in.mu.Unlock()
	in.changed.Signal()
}

// abandon makes pump come back, whatever it waits for.
func (in *inbox) abandon() {
	in.mu.Lock()
	in.left = true
	in.queue = nil
	in.mu.Unlock()
	in.changed.Signal()
	in.pipe.SetWriteDeadline(time.Unix(1, 0)) // fails only on a closed pipe, which is as good
}

func (in *inbox) pump() {
	defer in.pipe.Close()
	broken := false
	for {
		in.mu.Lock()
		for len(in.queue) == 0 && !in.ended && !in.left {
			in.changed.Wait()
		}
		data := in.queue
		if len(data) > chunkBytes {
			data = data[:chunkBytes]
		}
		in.mu.Unlock()
		if len(data) == 0 {
			return
		}
		if !broken {
			// A process that closed its stdin must not stop the host's writer: the rest is
			// thrown away and credited.
			_, err := in.pipe.Write(data)
			broken = err != nil
		}
		// Taken out only now: what is being written counts against the window.
		in.mu.Lock()
		if in.left {
			in.mu.Unlock()
			return
		}
		if in.queue = in.queue[len(data):]; len(in.queue) == 0 {
			in.queue = nil // lets the grown array go
		}
		in.mu.Unlock()
		var body [8]byte
		binary.BigEndian.PutUint32(body[:], uint32(kindStdin))
		binary.BigEndian.PutUint32(body[4:], uint32(len(data)))
		if in.stream.send(kindCredit, 0, body[:]) != nil {
			return
		}
	}
}

// outlet carries stdout or stderr to the host, as far as the credit reaches.
type outlet struct {
	process *process
	kind    byte
	pipe    *os.File

	mu      sync.Mutex
	changed *sync.Cond
	credit  int64
	left    bool
}

func newOutlet(p *process, kind byte, pipe *os.File) *outlet {
	out := &outlet{process: p, kind: kind, pipe: pipe, credit: windowBytes}
	out.changed = sync.NewCond(&out.mu)
	return out
}

func (out *outlet) grant(bytes uint32) (why string) {
	out.mu.Lock()
	defer out.mu.Unlock()
	if out.credit+int64(bytes) > windowBytes {
		return "more credit than the window"
	}
	out.credit += int64(bytes)
	out.changed.Signal()
	return ""
}

func (out *outlet) abandon() {
	out.mu.Lock()
	out.left = true
	out.mu.Unlock()
	out.changed.Signal()
	out.pipe.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed pipe, which is as good
}

// hurry wakes a pump that waits for a pipe which may stay open for ever.
func (out *outlet) hurry() {
	out.mu.Lock()
	defer out.mu.Unlock()
	if !out.left { // an abandoned outlet has a stricter deadline already
		out.pipe.SetReadDeadline(time.Now().Add(lingerTime))
	}
}

func (out *outlet) pump() {
	defer out.pipe.Close()
	buffer := make([]byte, chunkBytes)
	for {
		room := out.waitForCredit()
		if room == 0 {
			return
		}
		if room > chunkBytes {
			room = chunkBytes
		}
		// Waiting for credit may have outlasted the deadline; silence counts from here.
		ended := out.process.exited.Load()
		if ended {
			out.hurry()
		}
		n, err := out.pipe.Read(buffer[:room])
		if n > 0 {
			// Before the frame leaves: the credit for it may come back at once.
			out.mu.Lock()
			out.credit -= int64(n)
			out.mu.Unlock()
			if out.process.stream.send(out.kind, 0, buffer[:n]) != nil {
				return
			}
		}
		if err != nil && !(errors.Is(err, os.ErrDeadlineExceeded) && !ended) {
			return
		}
	}
}

// waitForCredit says how much may be sent, or 0 when nobody listens any more.
func (out *outlet) waitForCredit() int64 {
	out.mu.Lock()
	defer out.mu.Unlock()
	for out.credit == 0 && !out.left {
		out.changed.Wait()
	}
	if out.left {
		return 0
	}
	return out.credit
}
