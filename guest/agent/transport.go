// The lines an agent can be reached over.
//
// virtio-serial has no connections: one session lives as long as the port is open, and a host
// that comes or goes is seen as a read of nothing, or not at all (PROTOCOL.md, sync).
// vsock and unix sockets have one session per connection.
package main

import (
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

const (
	portName  = "linstock.agent.0"
	vsockPort = 1024
	// maxConnections on one listening socket; more wait in its backlog.
	maxConnections = 8
	// hostLookTime is the fallback when no SIGIO tells that a host connected. With SIGIO a host
	// was seen within 8 ms in a QEMU guest, so this only bounds the damage of a kernel without.
	hostLookTime = 2 * time.Second
)

// backoff doubles from first to last; reset after success.
type backoff struct{ first, last, next time.Duration }

func (b *backoff) wait() {
	if b.next == 0 {
		b.next = b.first
	}
	time.Sleep(b.next)
	if b.next *= 2; b.next > b.last {
		b.next = b.last
	}
}

func (b *backoff) reset() { b.next = 0 }

func serveSerial() {
	// The port appears with its driver, usually before init; a module may be late.
	pause := backoff{first: 20 * time.Millisecond, last: 2 * time.Second}
	for {
		path := findPort("/sys/class/virtio-ports", "/dev")
		if path == "" {
			pause.wait()
			continue
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			// EBUSY: somebody else has it. ENOENT: devtmpfs or mdev is not there yet.
			if pause.next == pause.last {
				logf("%s: %v; trying again", path, err)
			}
			pause.wait()
			continue
		}
		pause.reset()
		logf("%s ready on %s", agentVersion, path)
		port := newSerialPort(file)
		s := newSession(port, &agent{transport: "virtio-serial"})
		port.onHangup = func() { s.desync("") }
		err = s.run()
		port.close()
		logf("%s: %v; opening it again", path, err)
		pause.wait()
	}
}

// findPort looks for the port by name, since the number in vportNpM is not fixed.
func findPort(class, dev string) string {
	names, _ := filepath.Glob(filepath.Join(class, "*", "name")) // only a bad pattern fails
	for _, file := range names {
		if readLine(file, 100) == portName {
			return filepath.Join(dev, filepath.Base(filepath.Dir(file)))
		}
	}
	return ""
}

// serialPort hides that the kernel answers reads with nothing while no host is connected.
type serialPort struct {
	file     *os.File
	onHangup func()
	sigio    chan os.Signal
}

func newSerialPort(file *os.File) *serialPort {
	p := &serialPort{file: file, onHangup: func() {}, sigio: make(chan os.Signal, 1)}
	signal.Notify(p.sigio, syscall.SIGIO)
	return p
}

func (p *serialPort) Write(data []byte) (int, error) { return p.file.Write(data) }

func (p *serialPort) Read(buffer []byte) (int, error) {
	for waited := false; ; waited = true {
		n, err := p.file.Read(buffer)
		if err != io.EOF {
			if waited {
				p.async(false)
			}
			return n, err
		}
		if !waited {
			p.onHangup()
			p.async(true)
			continue // the host may have come between the read and the request for a signal
		}
		select {
		case <-p.sigio:
		case <-time.After(hostLookTime):
		}
	}
}

// async asks the kernel for SIGIO when the host's side of the port changes. Only while
// there is no host: otherwise each arriving piece of data would cost a signal.
// A kernel that refuses costs latency only, see hostLookTime.
func (p *serialPort) async(on bool) {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		flags, _, _ := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0)
		if on {
			syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETOWN, uintptr(os.Getpid()))
			flags |= syscall.O_ASYNC
		} else {
			flags &^= syscall.O_ASYNC
		}
		syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_SETFL, flags)
	})
}

func (p *serialPort) close() {
	signal.Stop(p.sigio)
	p.file.Close()
}

// serveVsock listens for ever; a kernel without vsock may still load it later.
func serveVsock() {
	pause := backoff{first: 100 * time.Millisecond, last: 30 * time.Second}
	for {
		fd, err := listenVsock(vsockPort)
		if err != nil {
			pause.wait()
			continue
		}
		pause.reset()
		logf("%s ready on vsock port %d", agentVersion, vsockPort)
		err = acceptVsock(fd)
		syscall.Close(fd)
		logf("vsock: %v; listening again", err)
		pause.wait()
	}
}

// listenVsock uses raw calls, for the standard library does not know the family.
func listenVsock(port uint32) (int, error) {
	const afVsock, anyCid = 40, 0xffffffff
	fd, err := syscall.Socket(afVsock, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	address := struct {
		family, reserved uint16
		port, cid        uint32
		zero             [4]byte
	}{family: afVsock, port: port, cid: anyCid}
	_, _, errno := syscall.Syscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
	if errno != 0 {
		syscall.Close(fd)
		return -1, errno
	}
	if err := syscall.Listen(fd, maxConnections); err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

func acceptVsock(listener int) error {
	slots := make(chan struct{}, maxConnections)
	for {
		slots <- struct{}{}
		fd, _, errno := syscall.Syscall6(syscall.SYS_ACCEPT4, uintptr(listener), 0, 0,
			syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0, 0)
		switch errno {
		case 0:
			go func() {
				serveConnection(os.NewFile(fd, "vsock"), "vsock", false)
				<-slots
			}()
		case syscall.EINTR, syscall.ECONNABORTED, syscall.EAGAIN:
			<-slots
		default:
			return errno
		}
	}
}

func serveConnection(connection io.ReadWriteCloser, transport string, harmless bool) {
	defer connection.Close()
	// The error is the end of the connection, which is nothing to report.
	_ = newSession(connection, &agent{transport: transport, harmless: harmless}).run()
}

func serveUnix(path string) error {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	logf("%s ready on unix:%s", agentVersion, path)
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go serveConnection(connection, "unix", true)
	}
}

type stdio struct {
	io.Reader
	io.Writer
}

func serveStdio() {
	_ = newSession(stdio{os.Stdin, os.Stdout}, &agent{transport: "stdio", harmless: true}).run()
}
