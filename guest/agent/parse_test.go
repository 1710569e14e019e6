package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParsers(t *testing.T) {
	same := func(name string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	memory, err := parseMeminfo("MemTotal:         112984 kB\nMemFree: 1 kB\nMemAvailable:     90000 kB\n")
	same("meminfo", memory, memoryFact{112984, 90000})
	same("meminfo error", err, nil)
	if _, err := parseMeminfo("MemTotal: x kB"); err == nil {
		t.Error("meminfo without numbers was taken")
	}
	for text, want := range map[string]int{"0\n": 1, "0-3\n": 4, "0-3,5,7-8": 7} {
		got, err := parseCPUList(text)
		same("cpus "+text, got, want)
		same("cpus error", err, nil)
	}
	for _, text := range []string{"", "-", "3-1", "0-99999999", "a"} {
		if _, err := parseCPUList(text); err == nil {
			t.Errorf("%q was taken for CPUs", text)
		}
	}
	same("arp", parseArp("IP address       HW type     Flags       HW address            Mask     Device\n"+
		"192.168.100.1    0x1         0x2         02:fc:00:00:00:01     *        eth0\n"+
		"192.168.100.9    0x1         0x0         00:00:00:00:00:00     *        eth0\nshort line\n"),
		[]neighbourFact{{"192.168.100.1", "02:fc:00:00:00:01", "eth0", true}, {"192.168.100.9", "00:00:00:00:00:00", "eth0", false}})
	same("tcp", parseTCP("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+
		"   0: 0100007F:17C0 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n"+
		"   1: 0364A8C0:17C0 0164A8C0:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n"),
		[]listenFact{{Address: "127.0.0.1", Port: 6080, inode: "4711"}})
	same("tcp6", parseTCP("   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 99 1\n"),
		[]listenFact{{Address: "::1", Port: 22, inode: "99"}})
	same("resolv.conf", parseResolvConf("# none\nsearch x\nnameserver 10.0.0.1\nnameserver\n nameserver fe80::1%eth0 \n"),
		[]string{"10.0.0.1", "fe80::1%eth0"})
	root, mounts := parseMountinfo("21 1 0:2 / / rw - rootfs none rw\n25 21 254:0 / / ro,relatime shared:1 - ext4 /dev/root rw\n" +
		"26 25 0:4 / /proc rw - proc proc rw\n27 25 254:16 / /mnt/a\\040b rw - xfs /dev/vdb rw\nbroken\n")
	same("root", root, &mountFact{"/dev/root", "/", "ext4", "ro,relatime,rw"})
	same("mounts", len(mounts), 3)
	same("mount path", mounts[2].Path, "/mnt/a b")
	share, err := parsePressure("some avg10=12.34 avg60=0.00 avg300=0.00 total=1\nfull avg10=1\n")
	same("pressure", share, 12.34)
	same("units", parseUnits("ssh.service loaded failed failed OpenBSD\n\n● odd\n"), []string{"ssh.service", "●"})
	same("cut", cut("añb", 2), "a")
}

func TestListsStopAtTheirLimit(t *testing.T) {
	if n := len(parseArp("head\n" + strings.Repeat("1.2.3.4 0x1 0x2 m * eth0\n", 5000))); n != maxNeighbours {
		t.Errorf("%d neighbours", n)
	}
	if n := len(parseTCP(strings.Repeat("0: 0100007F:17C0 0:0 0A 0 0 0 0 0 1\n", 5000))); n != maxListening {
		t.Errorf("%d listeners", n)
	}
	if n := len(parseResolvConf(strings.Repeat("nameserver 1.1.1.1\n", 5000))); n != maxResolvers {
		t.Errorf("%d resolvers", n)
	}
}

func TestNetworkManagersAreFoundByProcessAndByLink(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", filepath.Join(folder, "systemd-networkd.service")); err != nil {
		t.Fatal(err)
	}
	got := networkManagers(root, map[string]bool{"udhcpc": true})
	want := []networkManagerFact{{"systemd-networkd", false, true}, {"udhcpc", true, false}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestPortIsFoundByName(t *testing.T) {
	class := t.TempDir()
	for port, name := range map[string]string{"vport0p1": "com.other\n", "vport3p2": portName + "\n"} {
		if err := os.MkdirAll(filepath.Join(class, port), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(class, port, "name"), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := findPort(class, "/dev"); got != "/dev/vport3p2" {
		t.Error(got)
	}
	if got := findPort(t.TempDir(), "/dev"); got != "" {
		t.Error(got)
	}
}

func FuzzParsers(f *testing.F) {
	for _, text := range []string{"0-3,5", "a \\04 - b", "0: 0100007F:17C0 0:0 0A 0 0 0 0 0 1", "1 2 3 / / rw - ext4 /dev/vda rw"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parseMeminfo(text)
		parseCPUList(text)
		parseArp(text)
		parseTCP(text)
		parseResolvConf(text)
		parseMountinfo(text)
		parsePressure(text)
		parseUnits(text)
	})
}
