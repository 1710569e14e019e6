package main

import (
	"bytes"
	"math/rand"
	"testing"
)

type seen struct {
	frames []frame
	bad    int
}

// decodeIn feeds the bytes in pieces of the given size.
func decodeIn(d *decoder, data []byte, piece int) (all seen) {
	for len(data) > 0 {
		n := piece
		if n > len(data) {
			n = len(data)
		}
		d.feed(data[:n], func(f frame) {
			f.payload = append([]byte{}, f.payload...)
			all.frames = append(all.frames, f)
		}, func(string) { all.bad++ })
		data = data[n:]
	}
	return all
}

func TestFramesSurviveAnyChunking(t *testing.T) {
	var wire []byte
	for i := 0; i < 20; i++ {
		wire = appendFrame(wire, kindStdin, 0, uint32(i+1), bytes.Repeat([]byte{byte(i)}, i*137))
	}
	wire = appendFrame(wire, kindStdin, 0, 99, make([]byte, maxPayloadBytes))
	for _, piece := range []int{1, 2, 3, 7, 19, 20, 21, 4096, 1 << 20} {
		d := newDecoder()
		all := decodeIn(d, wire, piece)
		if len(all.frames) != 21 || all.bad != 0 || d.garbageBytes != 0 {
			t.Fatalf("pieces of %d: %d frames, %d bad, %d garbage", piece, len(all.frames), all.bad, d.garbageBytes)
		}
		for i, f := range all.frames[:20] {
			if f.stream != uint32(i+1) || len(f.payload) != i*137 {
				t.Fatalf("pieces of %d: frame %d is %v", piece, i, f)
			}
		}
	}
}

func TestGarbageIsSkippedAndCounted(t *testing.T) {
	wire := append([]byte("login: LSK LSLSK"), appendFrame(nil, kindSync, 0, 0, make([]byte, 16))...)
	for _, piece := range []int{1, 5, 1000} {
		d := newDecoder()
		all := decodeIn(d, wire, piece)
		if len(all.frames) != 1 || d.garbageBytes != 16 {
			t.Fatalf("%d frames, %d garbage", len(all.frames), d.garbageBytes)
		}
	}
}

// The promise the sync handshake stands on: whatever an earlier host left half written, a
// sync behind padding is found.
func TestSyncIsFoundBehindAnyTornFrame(t *testing.T) {
	torn := appendFrame(nil, kindStdin, 0, 7, bytes.Repeat([]byte("LSK1"), 500))
	big := appendFrame(nil, kindStdin, 0, 7, make([]byte, maxPayloadBytes))
	// Padding first. Behind the sync it would not do: a torn frame that lacks exactly "LSK1" is
	// made whole by the sync's own magic, and this test found that.
	sync := appendFrame(make([]byte, headerBytes+maxPayloadBytes), kindSync, 0, 0, []byte("0123456789abcdef"))
	for cutAt := 0; cutAt < len(torn); cutAt++ {
		found := 0
		for _, f := range decodeIn(newDecoder(), append(append([]byte{}, torn[:cutAt]...), sync...), 8192).frames {
			if f.kind == kindSync && string(f.payload) == "0123456789abcdef" {
				found++
			}
		}
		if found != 1 {
			t.Fatalf("cut at %d: sync seen %d times", cutAt, found)
		}
	}
	for _, cutAt := range []int{1, 15, 16, 19, 20, 21, 40000, len(big) - 1} {
		all := decodeIn(newDecoder(), append(append([]byte{}, big[:cutAt]...), sync...), 65536)
		if len(all.frames) == 0 || all.frames[len(all.frames)-1].kind != kindSync {
			t.Fatalf("cut at %d: %d frames", cutAt, len(all.frames))
		}
	}
}

func TestDamagedHeadersAreBadAndWhatFollowsIsFound(t *testing.T) {
	good := appendFrame(nil, kindCancel, 0, 3, nil)
	for name, change := range map[string]func([]byte){
		"kind 0": func(b []byte) { b[4] = 0 }, "kind 200": func(b []byte) { b[4] = 200 },
		"flags": func(b []byte) { b[5] = 2 }, "more on a stdin": func(b []byte) { b[5] = 1 },
		"reserved": func(b []byte) { b[7] = 1 }, "length": func(b []byte) { b[12] = 255 },
		"checksum": func(b []byte) { b[19] ^= 1 }, "payload": func(b []byte) { b[22] ^= 1 },
	} {
		wire := appendFrame(nil, kindStdin, 0, 3, []byte("hello"))
		change(wire)
		all := decodeIn(newDecoder(), append(wire, good...), 11)
		if all.bad != 1 || len(all.frames) != 1 || all.frames[0].kind != kindCancel {
			t.Errorf("%s: %d bad, frames %v", name, all.bad, all.frames)
		}
	}
}

func TestDecoderNeverGrows(t *testing.T) {
	d := newDecoder()
	random := rand.New(rand.NewSource(1))
	noise := make([]byte, 1<<20)
	random.Read(noise)
	for i := 0; i+20 < len(noise); i += 700 {
		copy(noise[i:], "LSK1\x05\x00\x00\x00\x00\x00\x00\x01\x00\x00\xff\xff")
	}
	decodeIn(d, noise, 30000)
	if cap(d.buffer) > 2*(headerBytes+maxPayloadBytes) {
		t.Fatalf("the buffer grew to %d", cap(d.buffer))
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(appendFrame(nil, kindSync, 0, 0, make([]byte, 16)), 3)
	f.Add([]byte("LSK1LSK1LSK1LSK1LSK1LSK1LSK1"), 1)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		if piece < 1 {
			piece = 1
		}
		whole := decodeIn(newDecoder(), data, len(data)+1)
		pieces := decodeIn(newDecoder(), data, piece)
		if len(whole.frames) != len(pieces.frames) || whole.bad != pieces.bad {
			t.Fatal("chunking changed the meaning")
		}
	})
}
