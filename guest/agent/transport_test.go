package main

import (
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A kernel with vsock_loopback shows the raw calls at work; most build machines have none.
func TestVsockOverLoopback(t *testing.T) {
	const testPort, localCid, afVsock = 51024, 1, 40
	listener, err := listenVsock(testPort)
	if err != nil {
		t.Skipf("no vsock here: %v", err)
	}
	defer syscall.Close(listener)
	fd, err := syscall.Socket(afVsock, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	// SO_VM_SOCKETS_CONNECT_TIMEOUT: without a loopback transport the kernel would wait 2 s.
	limit := syscall.NsecToTimeval((200 * time.Millisecond).Nanoseconds())
	syscall.Syscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), afVsock, 6, uintptr(unsafe.Pointer(&limit)), unsafe.Sizeof(limit), 0)
	address := struct {
		family, reserved uint16
		port, cid        uint32
		zero             [4]byte
	}{family: afVsock, port: testPort, cid: localCid}
	_, _, errno := syscall.Syscall(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
	if errno != 0 {
		syscall.Close(fd)
		t.Skipf("no vsock loopback here: %v", errno)
	}
	go acceptVsock(listener)
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	line := os.NewFile(uintptr(fd), "vsock")
	defer line.Close()
	if _, err := line.Write(appendFrame(nil, kindSync, 0, 0, []byte(nonceA))); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := line.Read(buffer)
	all := decodeIn(newDecoder(), buffer[:n], n)
	if err != nil || len(all.frames) != 1 || all.frames[0].kind != kindSyncAck {
		t.Fatalf("read %d bytes, %v", n, err)
	}
}
