// Parsers of the texts in /proc and /etc. Pure and total: a line that does not fit is left
// out, a list stops at its limit, nothing panics (fuzzed in parse_test.go).
package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

func parseMeminfo(text string) (memory memoryFact, err error) {
	memory.AvailableKiB = -1
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			memory.TotalKiB = kib
		case "MemAvailable:":
			memory.AvailableKiB = kib
		}
	}
	if memory.TotalKiB <= 0 || memory.AvailableKiB < 0 {
		return memory, errors.New("no MemTotal or MemAvailable")
	}
	return memory, nil
}

// parseCPUList counts a list such as "0-3,5".
func parseCPUList(text string) (int, error) {
	count := 0
	for _, part := range strings.Split(strings.TrimSpace(text), ",") {
		low, high, ranged := strings.Cut(part, "-")
		first, err := strconv.Atoi(low)
		if err != nil {
			return 0, errors.New("not a list of CPUs")
		}
		last := first
		if ranged {
			if last, err = strconv.Atoi(high); err != nil {
				return 0, errors.New("not a list of CPUs")
			}
		}
		if first < 0 || last < first || last > 65535 {
			return 0, errors.New("not a list of CPUs")
		}
		count += last - first + 1
	}
	return count, nil
}

type neighbourFact struct {
	Address string `json:"address"`
	Mac     string `json:"mac"`
	Link    string `json:"link"`
	// Complete: the neighbour has answered ARP.
	Complete bool `json:"complete"`
}

func parseArp(text string) []neighbourFact {
	all := []neighbourFact{}
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if i == 0 || len(fields) < 6 || len(all) == maxNeighbours {
			continue
		}
		flags, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "0x"), 16, 16)
		if err != nil {
			continue
		}
		const complete = 2 // ATF_COM
		all = append(all, neighbourFact{
			Address: cut(fields[0], 64), Mac: cut(fields[3], 64), Link: cut(fields[5], 64), Complete: flags&complete != 0,
		})
	}
	return all
}

type listenFact struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	// Process is the name of one process that has the socket; absent when it cannot be seen.
	Process string `json:"process,omitempty"`
	inode   string
}

// parseTCP reads /proc/net/tcp or tcp6 and keeps the listening sockets.
func parseTCP(text string) []listenFact {
	all := []listenFact{}
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		const listening = "0A"
		if len(fields) < 10 || fields[3] != listening || len(all) == maxListening {
			continue
		}
		addressText, portText, ok := strings.Cut(fields[1], ":")
		port, err := strconv.ParseUint(portText, 16, 16)
		address := parseHexIP(addressText)
		if !ok || err != nil || address == nil {
			continue
		}
		all = append(all, listenFact{Address: address.String(), Port: int(port), inode: fields[9]})
	}
	return all
}

// parseHexIP undoes the kernel's %08X of each 32-bit word, which is in host order.
func parseHexIP(text string) net.IP {
	ip, err := hex.DecodeString(text)
	if err != nil || (len(ip) != 4 && len(ip) != 16) {
		return nil
	}
	for i := 0; i < len(ip); i += 4 {
		ip[i], ip[i+1], ip[i+2], ip[i+3] = ip[i+3], ip[i+2], ip[i+1], ip[i]
	}
	return ip
}

func parseResolvConf(text string) []string {
	all := []string{}
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "nameserver" && len(all) < maxResolvers {
			all = append(all, cut(fields[1], 64))
		}
	}
	return all
}

// parseMountinfo gives the mount seen at "/" (the last one there) and a short list of real ones.
func parseMountinfo(text string) (root *mountFact, mounts []mountFact) {
	mounts = []mountFact{}
	for _, line := range strings.Split(text, "\n") {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 {
			continue
		}
		mount := mountFact{
			Device:  cut(unescapeMount(right[1]), maxName),
			Path:    cut(unescapeMount(left[4]), maxName),
			FsType:  cut(right[0], 64),
			Options: cut(left[5]+","+right[2], 1024), // of the mount, then of the filesystem
		}
		if mount.Path == "/" {
			found := mount
			root = &found
		}
		if !kernelMounts[mount.FsType] && len(mounts) < maxMounts {
			mounts = append(mounts, mount)
		}
	}
	return root, mounts
}

// kernelMounts say nothing about disks.
var kernelMounts = map[string]bool{
	"proc": true, "sysfs": true, "cgroup": true, "cgroup2": true, "devpts": true, "mqueue": true, "securityfs": true,
	"debugfs": true, "tracefs": true, "configfs": true, "bpf": true, "pstore": true, "autofs": true, "hugetlbfs": true,
	"fusectl": true, "binfmt_misc": true, "nsfs": true,
}

// unescapeMount undoes \040 and its kind.
func unescapeMount(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	out := []byte{}
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				out = append(out, byte(code))
				i += 3
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}

// parsePressure gives the avg10 of the line "some".
func parsePressure(text string) (float64, error) {
	for _, field := range strings.Fields(strings.SplitN(text, "\n", 2)[0]) {
		if strings.HasPrefix(field, "avg10=") {
			value, err := strconv.ParseFloat(strings.TrimPrefix(field, "avg10="), 64)
			if err != nil || !(value >= 0 && value <= 100) {
				return 0, fmt.Errorf("pressure %q", cut(field, 40))
			}
			return value, nil
		}
	}
	return 0, errors.New("no avg10")
}

// parseUnits reads the first column of `systemctl list-units --plain --no-legend`.
func parseUnits(text string) []string {
	all := []string{}
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && len(all) < maxUnits {
			all = append(all, cut(fields[0], maxName))
		}
	}
	return all
}
