// Network facts: from the kernel's netlink tables, and /proc for what holds a socket.
package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

type linkFact struct {
	Name string `json:"name"`
	Mac  string `json:"mac"`
	// Operstate is the kernel's word: up, down, unknown, lowerlayerdown…; "" when not readable.
	Operstate string   `json:"operstate"`
	Mtu       int      `json:"mtu"`
	Flags     []string `json:"flags"`
}

type addressFact struct {
	Link      string `json:"link"`
	Address   string `json:"address"`
	PrefixLen int    `json:"prefixLen"`
	Family    string `json:"family"`
	Scope     string `json:"scope"`
	// Flags such as permanent, tentative, dadfailed.
	Flags []string `json:"flags"`
}

type routeFact struct {
	Family string `json:"family"`
	// Destination is "default" or address/prefix.
	Destination string `json:"destination"`
	Gateway     string `json:"gateway,omitempty"`
	Link        string `json:"link,omitempty"`
	Source      string `json:"source,omitempty"`
	Metric      uint32 `json:"metric"`
	// Protocol says who made it: kernel, boot (ip= or a shell), static, dhcp, ra, or a number.
	Protocol string `json:"protocol"`
	Scope    string `json:"scope"`
}

func linkFacts() ([]linkFact, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	all := []linkFact{}
	for _, link := range interfaces {
		if len(all) == maxLinks {
			break
		}
		all = append(all, linkFact{
			Name:      cut(link.Name, 64),
			Mac:       link.HardwareAddr.String(),
			Operstate: readLine("/sys/class/net/"+filepath.Base(link.Name)+"/operstate", 32),
			Mtu:       link.MTU,
			Flags:     strings.Split(link.Flags.String(), "|"),
		})
	}
	return all, nil
}

// linkName avoids a table: an index that is gone by now is shown as its number.
func linkName(index uint32) string {
	link, err := net.InterfaceByIndex(int(index))
	if err != nil {
		return fmt.Sprintf("#%d", index)
	}
	return cut(link.Name, 64)
}

var scopes = map[byte]string{0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}

var protocols = map[byte]string{0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp"}

func named(names map[byte]string, number byte) string {
	if name, known := names[number]; known {
		return name
	}
	return fmt.Sprint(number)
}

var addressFlags = []struct {
	bit  uint32
	name string
}{
	{0x01, "secondary"}, {0x08, "dadfailed"}, {0x10, "homeaddress"}, {0x20, "deprecated"}, {0x40, "tentative"},
	{0x80, "permanent"}, {0x100, "managetempaddr"}, {0x200, "noprefixroute"}, {0x400, "mcautojoin"}, {0x800, "stable-privacy"},
}

func familyName(family byte) string {
	switch family {
	case syscall.AF_INET:
		return "ipv4"
	case syscall.AF_INET6:
		return "ipv6"
	}
	return ""
}

// netlink calls each for every message of the wanted kind.
func netlink(request int, want uint16, each func(syscall.NetlinkMessage, []syscall.NetlinkRouteAttr)) error {
	table, err := syscall.NetlinkRIB(request, syscall.AF_UNSPEC)
	if err != nil {
		return os.NewSyscallError("netlink", err)
	}
	messages, err := syscall.ParseNetlinkMessage(table)
	if err != nil {
		return os.NewSyscallError("netlink", err)
	}
	for i := range messages {
		if messages[i].Header.Type != want {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&messages[i])
		if err != nil {
			continue // one odd entry does not hide the others
		}
		each(messages[i], attributes)
	}
	return nil
}

func addressFacts() ([]addressFact, error) {
	all := []addressFact{}
	err := netlink(syscall.RTM_GETADDR, syscall.RTM_NEWADDR, func(m syscall.NetlinkMessage, attributes []syscall.NetlinkRouteAttr) {
		if len(m.Data) < syscall.SizeofIfAddrmsg || familyName(m.Data[0]) == "" || len(all) == maxAddresses {
			return
		}
		fact := addressFact{
			Link:      linkName(binary.LittleEndian.Uint32(m.Data[4:])),
			PrefixLen: int(m.Data[1]), Family: familyName(m.Data[0]), Scope: named(scopes, m.Data[3]), Flags: []string{},
		}
		flags := uint32(m.Data[2])
		for _, attribute := range attributes {
			const extendedFlags = 8 // IFA_FLAGS
			switch {
			// IFA_LOCAL is the own address where IFA_ADDRESS is the peer's; it comes second.
			case attribute.Attr.Type == syscall.IFA_ADDRESS && fact.Address == "", attribute.Attr.Type == syscall.IFA_LOCAL:
				fact.Address = ipText(attribute.Value)
			case attribute.Attr.Type == extendedFlags && len(attribute.Value) >= 4:
				flags = binary.LittleEndian.Uint32(attribute.Value)
			}
		}
		for _, flag := range addressFlags {
			if flags&flag.bit != 0 {
				fact.Flags = append(fact.Flags, flag.name)
			}
		}
		all = append(all, fact)
	})
	return all, err
}

func ipText(value []byte) string {
	if len(value) != 4 && len(value) != 16 {
		return ""
	}
	return net.IP(value).String()
}

// routeFacts lists the main table: the others are the kernel's own or somebody's rules.
func routeFacts() ([]routeFact, error) {
	all := []routeFact{}
	err := netlink(syscall.RTM_GETROUTE, syscall.RTM_NEWROUTE, func(m syscall.NetlinkMessage, attributes []syscall.NetlinkRouteAttr) {
		if fact, ok := parseRoute(m.Data, attributes); ok && len(all) < maxRoutes {
			all = append(all, fact)
		}
	})
	return all, err
}

func parseRoute(data []byte, attributes []syscall.NetlinkRouteAttr) (fact routeFact, ok bool) {
	if len(data) < syscall.SizeofRtMsg || familyName(data[0]) == "" {
		return fact, false
	}
	family, prefix, table, protocol, scope, kind := data[0], data[1], uint32(data[4]), data[5], data[6], data[7]
	fact = routeFact{Family: familyName(family), Destination: "default", Protocol: named(protocols, protocol), Scope: named(scopes, scope)}
	for _, attribute := range attributes {
		value := attribute.Value
		var number uint32
		if len(value) >= 4 {
			number = binary.LittleEndian.Uint32(value)
		}
		switch attribute.Attr.Type {
		case syscall.RTA_DST:
			if prefix > 0 {
				fact.Destination = fmt.Sprintf("%s/%d", ipText(value), prefix)
			}
		case syscall.RTA_GATEWAY:
			fact.Gateway = ipText(value)
		case syscall.RTA_PREFSRC:
			fact.Source = ipText(value)
		case syscall.RTA_OIF:
			fact.Link = linkName(number)
		case syscall.RTA_PRIORITY:
			fact.Metric = number
		case syscall.RTA_TABLE:
			table = number
		}
	}
	return fact, table == syscall.RT_TABLE_MAIN && kind == syscall.RTN_UNICAST
}

func listenFacts() ([]listenFact, error) {
	text, err := readText("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	all := parseTCP(text)
	if text6, err := readText("/proc/net/tcp6"); err == nil { // missing when IPv6 is off
		all = append(all, parseTCP(text6)...)
	}
	if len(all) > maxListening {
		all = all[:maxListening]
	}
	nameSockets(all)
	return all, nil
}

// nameSockets looks who holds which socket. Without root only own processes can be seen.
func nameSockets(sockets []listenFact) {
	wanted := map[string][]*listenFact{}
	for i := range sockets {
		key := "socket:[" + sockets[i].inode + "]"
		wanted[key] = append(wanted[key], &sockets[i])
	}
	if len(wanted) == 0 {
		return
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd") // only a bad pattern fails
	for _, folder := range links {
		// maxDescriptors bounds the work on a process with very many; listeners come early.
		const maxDescriptors = 4096
		opened, err := os.Open(folder)
		if err != nil {
			continue
		}
		names, _ := opened.Readdirnames(maxDescriptors) // an error means it ended: no names
		opened.Close()
		for _, name := range names {
			target, err := os.Readlink(filepath.Join(folder, name))
			if err != nil || wanted[target] == nil {
				continue
			}
			process := readLine(filepath.Join(filepath.Dir(folder), "comm"), 64)
			for _, socket := range wanted[target] {
				socket.Process = process
			}
			delete(wanted, target)
		}
		if len(wanted) == 0 {
			return
		}
	}
}
