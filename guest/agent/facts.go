// facts: what the guest can say about itself, in one bounded answer.
//
// Each part fails on its own: its reason goes into errors under the part's name, and the
// part is left out. No part may wait longer than partTime.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// partTime is generous: systemctl under emulation, during boot, took up to two seconds.
const partTime = 4 * time.Second

// Limits of lists and texts. The host's schema (packages/host/guest/facts.ts) has the same.
const (
	maxText       = 4096
	maxName       = 256
	maxLinks      = 64
	maxAddresses  = 256
	maxRoutes     = 256
	maxNeighbours = 256
	maxListening  = 256
	maxResolvers  = 16
	maxMounts     = 64
	maxUnits      = 64
)

// facts on the wire: a part that failed is absent, or null where it is a list; an empty list is
// a list that is known to be empty.
type facts struct {
	Cmdline    *string           `json:"cmdline,omitempty"`
	Kernel     *kernelFact       `json:"kernel,omitempty"`
	BootID     *string           `json:"bootId,omitempty"`
	UptimeMs   *int64            `json:"uptimeMs,omitempty"`
	Memory     *memoryFact       `json:"memory,omitempty"`
	CpusOnline *int              `json:"cpusOnline,omitempty"`
	Links      []linkFact        `json:"links"`
	Addresses  []addressFact     `json:"addresses"`
	Routes     []routeFact       `json:"routes"`
	Neighbours []neighbourFact   `json:"neighbours"`
	Listening  []listenFact      `json:"listening"`
	Resolvers  []string          `json:"resolvers"`
	RootMount  *mountFact        `json:"rootMount,omitempty"`
	Mounts     []mountFact       `json:"mounts"`
	Init       *initFact         `json:"init,omitempty"`
	Clock      *clockFact        `json:"clock,omitempty"`
	Random     *randomFact       `json:"random,omitempty"`
	Tainted    *int64            `json:"tainted,omitempty"`
	Pressure   *pressureFact     `json:"pressure,omitempty"`
	Errors     map[string]string `json:"errors"`
}

type kernelFact struct {
	Release string `json:"release"`
	Banner  string `json:"banner"`
	// ConfigReadable: whether the request "config" will find /proc/config.gz.
	ConfigReadable bool `json:"configReadable"`
}

type memoryFact struct {
	TotalKiB     int64 `json:"totalKiB"`
	AvailableKiB int64 `json:"availableKiB"`
}

type mountFact struct {
	Device  string `json:"device"`
	Path    string `json:"path"`
	FsType  string `json:"fsType"`
	Options string `json:"options"`
}

type clockFact struct {
	UnixMs int64 `json:"unixMs"`
}

type randomFact struct {
	Seeded bool `json:"seeded"`
}

// pressureFact holds the "some avg10" of each file, in percent.
type pressureFact struct {
	Cpu    float64 `json:"cpu"`
	Memory float64 `json:"memory"`
	Io     float64 `json:"io"`
}

type initFact struct {
	Pid1 string `json:"pid1"`
	// SystemState is the word of `systemctl is-system-running`; absent without systemd.
	SystemState     string               `json:"systemState,omitempty"`
	FailedUnits     []string             `json:"failedUnits"`
	NetworkManagers []networkManagerFact `json:"networkManagers"`
}

type networkManagerFact struct {
	Name    string `json:"name"`
	Running bool   `json:"running"`
	Enabled bool   `json:"enabled"`
}

// collectFacts asks all parts at once: one that waits for systemd must not delay the rest.
func collectFacts(parent context.Context) *facts {
	ctx, cancel := context.WithTimeout(parent, partTime)
	defer cancel()
	all := &facts{Errors: map[string]string{}}
	var mu sync.Mutex
	var running sync.WaitGroup
	part := func(name string, collect func() error) {
		running.Add(1)
		go func() {
			defer running.Done()
			defer func() {
				if bug := recover(); bug != nil {
					mu.Lock()
					all.Errors[name] = cut(fmt.Sprintf("bug: %v", bug), 300)
					mu.Unlock()
				}
			}()
			if err := collect(); err != nil {
				mu.Lock()
				all.Errors[name] = cut(err.Error(), 300)
				mu.Unlock()
			}
		}()
	}
	part("cmdline", func() error { return readInto(&all.Cmdline, "/proc/cmdline", maxText) })
	part("kernel", func() (err error) { all.Kernel, err = kernelFacts(); return })
	part("bootId", func() error { return readInto(&all.BootID, "/proc/sys/kernel/random/boot_id", 64) })
	part("uptimeMs", func() error { ms := uptimeMs(); all.UptimeMs = &ms; return nil })
	part("memory", func() (err error) { all.Memory, err = parseWith("/proc/meminfo", parseMeminfo); return })
	part("cpusOnline", func() (err error) {
		all.CpusOnline, err = parseWith("/sys/devices/system/cpu/online", parseCPUList)
		return
	})
	part("links", func() (err error) { all.Links, err = linkFacts(); return })
	part("addresses", func() (err error) { all.Addresses, err = addressFacts(); return })
	part("routes", func() (err error) { all.Routes, err = routeFacts(); return })
	part("neighbours", func() error {
		text, err := readText("/proc/net/arp")
		if err == nil {
			all.Neighbours = parseArp(text)
		}
		return err
	})
	part("listening", func() (err error) { all.Listening, err = listenFacts(); return })
	part("resolvers", func() error {
		text, err := readText("/etc/resolv.conf")
		if err == nil {
			all.Resolvers = parseResolvConf(text)
		}
		return err
	})
	part("mounts", func() error {
		text, err := readText("/proc/self/mountinfo")
		if err == nil {
			all.RootMount, all.Mounts = parseMountinfo(text)
		}
		return err
	})
	part("init", func() (err error) { all.Init, err = initFacts(ctx); return })
	part("clock", func() error { all.Clock = &clockFact{time.Now().UnixMilli()}; return nil })
	part("random", func() (err error) { all.Random, err = randomFacts(); return })
	part("tainted", func() error {
		flags, err := strconv.ParseInt(readLine("/proc/sys/kernel/tainted", 32), 10, 64)
		if err == nil {
			all.Tainted = &flags
		}
		return err
	})
	part("pressure", func() (err error) { all.Pressure, err = pressureFacts(); return })
	running.Wait()
	return all
}

func kernelFacts() (*kernelFact, error) {
	text, err := readText("/proc/version")
	if err != nil {
		return nil, err
	}
	_, configErr := os.Stat("/proc/config.gz")
	return &kernelFact{
		Release:        readLine("/proc/sys/kernel/osrelease", maxName),
		Banner:         cut(strings.TrimSpace(text), maxText),
		ConfigReadable: configErr == nil,
	}, nil
}

func uptimeMs() int64 {
	seconds, err := strconv.ParseFloat(strings.SplitN(readLine("/proc/uptime", 64), " ", 2)[0], 64)
	if err != nil {
		return 0
	}
	return int64(seconds * 1000)
}

func randomFacts() (*randomFact, error) {
	const nonBlock = 1
	var one [1]byte
	_, _, errno := syscall.Syscall(sysGetrandom, uintptr(unsafe.Pointer(&one[0])), 1, nonBlock)
	if errno != 0 && errno != syscall.EAGAIN {
		return nil, errno
	}
	return &randomFact{Seeded: errno == 0}, nil
}

func pressureFacts() (*pressureFact, error) {
	var all pressureFact
	for name, into := range map[string]*float64{"cpu": &all.Cpu, "memory": &all.Memory, "io": &all.Io} {
		text, err := readText("/proc/pressure/" + name)
		if err != nil {
			return nil, err
		}
		if *into, err = parsePressure(text); err != nil {
			return nil, err
		}
	}
	return &all, nil
}

func systemdRuns() bool {
	info, err := os.Lstat("/run/systemd/system") // what sd_booted(3) looks at
	return err == nil && info.IsDir()
}

func initFacts(ctx context.Context) (*initFact, error) {
	all := &initFact{Pid1: readLine("/proc/1/comm", 64), FailedUnits: []string{}}
	var trouble error
	if systemdRuns() {
		// Its exit code is 1 for any state but "running", so only the word counts.
		output, err := exec.CommandContext(ctx, "systemctl", "is-system-running").Output()
		all.SystemState = cut(strings.TrimSpace(string(output)), 64)
		if all.SystemState == "" {
			trouble = fmt.Errorf("systemctl is-system-running: %v", err)
		}
		output, err = exec.CommandContext(ctx, "systemctl", "list-units", "--failed", "--plain", "--no-legend", "--no-pager").Output()
		if err != nil {
			trouble = fmt.Errorf("systemctl list-units: %v", err)
		}
		all.FailedUnits = parseUnits(string(output))
	}
	all.NetworkManagers = networkManagers("/", processNames())
	return all, trouble
}

// networkManagers are what may change addresses after the kernel has set them.
// comm is cut to 15 characters by the kernel.
var knownManagers = []struct{ name, comm, unit string }{
	{"systemd-networkd", "systemd-network", "systemd-networkd.service"},
	{"NetworkManager", "NetworkManager", "NetworkManager.service"},
	{"dhcpcd", "dhcpcd", "dhcpcd.service"},
	{"dhclient", "dhclient", "dhclient.service"},
	{"udhcpc", "udhcpc", ""},
	{"connman", "connmand", "connman.service"},
	{"cloud-init", "cloud-init", "cloud-init.service"},
	{"ifupdown", "ifup", "networking.service"},
}

func networkManagers(root string, running map[string]bool) []networkManagerFact {
	found := []networkManagerFact{}
	for _, manager := range knownManagers {
		fact := networkManagerFact{Name: manager.name, Running: running[manager.comm]}
		if manager.unit != "" {
			// An enabled unit is a link in somebody's .wants; presets of the vendor count too.
			for _, folder := range []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
				links, _ := filepath.Glob(filepath.Join(root, folder, "*.wants", manager.unit)) // only a bad pattern fails
				fact.Enabled = fact.Enabled || len(links) > 0
			}
		}
		if manager.name == "ifupdown" && !fact.Enabled {
			links, _ := filepath.Glob(filepath.Join(root, "etc/rc?.d/S*networking")) // only a bad pattern fails
			fact.Enabled = len(links) > 0
		}
		if fact.Running || fact.Enabled {
			found = append(found, fact)
		}
	}
	return found
}

// processNames is bounded by the guest's own pid limit and holds names only.
func processNames() map[string]bool {
	names := map[string]bool{}
	files, _ := filepath.Glob("/proc/[0-9]*/comm") // only a bad pattern fails
	for _, file := range files {
		names[readLine(file, 64)] = true
	}
	delete(names, "") // ended in between
	return names
}

// maxProcBytes bounds any file of /proc that is read; a table of sockets may be long.
const maxProcBytes = 1 << 20

func readText(path string) (string, error) {
	data, _, err := readBounded(path, maxProcBytes)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return string(data), nil
}

// readLine is the first line, or nothing: for what may be missing.
func readLine(path string, limit int) string {
	data, _, err := readBounded(path, maxText)
	if err != nil {
		return ""
	}
	return cut(strings.TrimSpace(strings.SplitN(string(data), "\n", 2)[0]), limit)
}

func readInto(into **string, path string, limit int) error {
	text, err := readText(path)
	if err == nil {
		line := cut(strings.TrimSpace(text), limit)
		*into = &line
	}
	return err
}

func parseWith[T any](path string, parse func(string) (T, error)) (*T, error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	value, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &value, nil
}

// cut shortens to limit bytes, and drops what is not UTF-8: JSON would make each such byte
// three, and a character cut in half is not worth showing.
func cut(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "")
}
