// Network probes from the guest's side. Each answer keeps its own meaning: "refused" proves
// a kernel at the other end, "timeout" proves nothing.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// maxProbeMs bounds every probe; longer ones are the host's repetitions.
const maxProbeMs = 60_000

type probeAnswer struct {
	Outcome string `json:"outcome"`
	Ms      int64  `json:"ms"`
	// Detail is what the kernel or the resolver said, for people.
	Detail string `json:"detail,omitempty"`
}

func tcpConnect(st *stream, body json.RawMessage) (any, *refusal) {
	var want struct {
		Host      string `json:"host"`
		Port      int    `json:"port"`
		TimeoutMs int64  `json:"timeoutMs"`
	}
	if no := decode(body, &want); no != nil {
		return nil, no
	}
	if want.Host == "" || len(want.Host) > 253 || want.Port < 1 || want.Port > 65535 || !probeTime(want.TimeoutMs) {
		return nil, refuse("bad-request", "host, port 1 to 65535 and timeoutMs 1 to %d are needed.", maxProbeMs)
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(st.ctx, time.Duration(want.TimeoutMs)*time.Millisecond)
	defer cancel()
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(want.Host, strconv.Itoa(want.Port)))
	answer := probeAnswer{Outcome: tcpOutcome(err), Ms: time.Since(started).Milliseconds()}
	if err != nil {
		answer.Detail = cut(err.Error(), 300)
		return answer, nil
	}
	connection.Close()
	return answer, nil
}

func probeTime(ms int64) bool { return ms >= 1 && ms <= maxProbeMs }

func tcpOutcome(err error) string {
	var dns *net.DNSError
	var timed interface{ Timeout() bool }
	switch {
	case err == nil:
		return "connected"
	case errors.As(err, &dns): // before timeout: a silent name server is not a silent port
		return "dns-failed"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "refused"
	case unreachable(err):
		return "unreachable"
	case errors.As(err, &timed) && timed.Timeout(), errors.Is(err, context.Canceled):
		return "timeout"
	}
	return "failed"
}

func unreachable(err error) bool {
	for _, errno := range []error{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN,
		syscall.EHOSTDOWN, syscall.EADDRNOTAVAIL, syscall.EACCES, syscall.EPERM, syscall.ENONET} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

func icmpPing(st *stream, body json.RawMessage) (any, *refusal) {
	var want struct {
		Address   string `json:"address"`
		TimeoutMs int64  `json:"timeoutMs"`
	}
	if no := decode(body, &want); no != nil {
		return nil, no
	}
	ip := net.ParseIP(want.Address)
	if ip == nil || !probeTime(want.TimeoutMs) {
		return nil, refuse("bad-request", "address must be an IP address, timeoutMs 1 to %d.", maxProbeMs)
	}
	socket, err := openEcho(ip)
	if err != nil {
		return nil, errnoRefusal("No ICMP socket", err)
	}
	defer syscall.Close(socket.fd)
	started := time.Now()
	ctx, cancel := context.WithTimeout(st.ctx, time.Duration(want.TimeoutMs)*time.Millisecond)
	defer cancel()
	err = socket.exchange(ctx)
	answer := probeAnswer{Ms: time.Since(started).Milliseconds()}
	switch {
	case err == nil:
		answer.Outcome = "answered"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		answer.Outcome = "timeout"
	default:
		answer.Outcome = "unreachable"
		answer.Detail = cut(err.Error(), 300)
	}
	return answer, nil
}

// echoSocket is a connected ICMP socket, so that the kernel reports ICMP errors on it.
type echoSocket struct {
	fd  int
	v6  bool
	raw bool
	id  uint16
}

// openEcho prefers the ping socket, which needs no right but a sysctl; then a raw one.
func openEcho(ip net.IP) (*echoSocket, error) {
	family, protocol := syscall.AF_INET, syscall.IPPROTO_ICMP
	level, receiveErrors := syscall.IPPROTO_IP, syscall.IP_RECVERR
	v6 := ip.To4() == nil
	if v6 {
		family, protocol = syscall.AF_INET6, syscall.IPPROTO_ICMPV6
		level, receiveErrors = syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR
	}
	var to syscall.Sockaddr
	if v6 {
		address := &syscall.SockaddrInet6{}
		copy(address.Addr[:], ip.To16())
		to = address
	} else {
		address := &syscall.SockaddrInet4{}
		copy(address.Addr[:], ip.To4())
		to = address
	}
	socket := &echoSocket{v6: v6, id: uint16(os.Getpid())}
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, protocol)
	if err != nil {
		socket.raw = true
		if fd, err = syscall.Socket(family, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, protocol); err != nil {
			return nil, err
		}
	}
	socket.fd = fd
	// Short waits, so that a dropped stream ends soon. Without the option an unreachable
	// host would only look silent; neither call fails on a kernel with ICMP.
	wait := syscall.NsecToTimeval((100 * time.Millisecond).Nanoseconds())
	syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait)
	syscall.SetsockoptInt(fd, level, receiveErrors, 1)
	// An address without a route fails here; exchange will say so, when it sends.
	_ = syscall.Connect(fd, to)
	return socket, nil
}

// exchange sends one echo request and waits for its answer; nil is "answered".
func (e *echoSocket) exchange(ctx context.Context) error {
	request := echoRequest(e.v6, e.id, 1)
	if _, err := syscall.Write(e.fd, request); err != nil {
		if err == syscall.EDESTADDRREQ || err == syscall.ENOTCONN {
			return syscall.ENETUNREACH // the connect found no route
		}
		return err
	}
	buffer := make([]byte, 1500)
	for ctx.Err() == nil {
		n, err := syscall.Read(e.fd, buffer)
		if err == syscall.EAGAIN || err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if e.isAnswer(buffer[:n]) {
			return nil
		}
	}
	return ctx.Err()
}

func echoRequest(v6 bool, id, sequence uint16) []byte {
	message := make([]byte, 8, 24)
	message[0] = 8
	if v6 {
		message[0] = 128
	}
	binary.BigEndian.PutUint16(message[4:], id)
	binary.BigEndian.PutUint16(message[6:], sequence)
	message = append(message, "linstock-agent.."...)
	if !v6 { // the kernel sums ICMPv6 itself
		var sum uint32
		for i := 0; i < len(message); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(message[i:]))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		binary.BigEndian.PutUint16(message[2:], ^uint16(sum))
	}
	return message
}

func (e *echoSocket) isAnswer(packet []byte) bool {
	if e.raw && !e.v6 { // raw IPv4 sockets deliver the IP header as well
		if len(packet) < 20 || int(packet[0]&15)*4 > len(packet) {
			return false
		}
		packet = packet[int(packet[0]&15)*4:]
	}
	kind := byte(0)
	if e.v6 {
		kind = 129
	}
	// A ping socket has its own id, and the kernel has sorted already.
	return len(packet) >= 8 && packet[0] == kind &&
		(!e.raw || binary.BigEndian.Uint16(packet[4:]) == e.id)
}
