package store

import (
	"encoding/binary"
	"fmt"

	"otor/internal/dot"
)

// The first byte of a key; doc.go holds the whole layout.
const (
	kindFormat  = 0x01
	kindDropped = 0x02
	kindEntry   = 0x10
	kindTail    = 0x11
	kindReceipt = 0x12
	kindPruned  = 0x13
	kindEnd     = 0x15
	kindSetting = 0x20
	kindBase    = 0x31
	kindOverlay = 0x32
	kindFeed    = 0x34
	kindAway    = 0x36

	kindFormDraft = 0x30
	kindBlob      = 0x40
)

const (
	settingContact  = 0x01
	settingFindings = 0x02
	settingTraffic  = 0x03
	settingPrefs    = 0x04
)

var (
	formatKey   = []byte{kindFormat}
	dropKey     = []byte{kindDropped}
	contactKey  = []byte{kindSetting, settingContact}
	findingsKey = []byte{kindSetting, settingFindings}
	trafficKey  = []byte{kindSetting, settingTraffic}
	prefsKey    = []byte{kindSetting, settingPrefs}
)

// chainKey is the key of a chain's row of that kind, and the prefix of its entries.
func chainKey(kind byte, c dot.Chain) []byte {
	b := make([]byte, 0, 7+len(c.Device)+8) // room for a seq
	b = append(b, kind, byte(len(c.Device)))
	b = append(b, c.Device...)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Incarnation))
	return append(b, byte(c.Lane))
}

func entryKey(c dot.Chain, s dot.Seq) []byte {
	return binary.BigEndian.AppendUint64(chainKey(kindEntry, c), uint64(s))
}

// parseChain reads the CHAIN part of a key and returns what follows it.
func parseChain(k []byte) (dot.Chain, []byte, error) {
	if len(k) < 2 || len(k) < 2+int(k[1])+5 {
		return dot.Chain{}, nil, fmt.Errorf("key %x: too short", k)
	}
	n := int(k[1])
	c := dot.Chain{
		Device:      dot.Device(k[2 : 2+n]),
		Incarnation: dot.Incarnation(binary.BigEndian.Uint32(k[2+n:])),
		Lane:        dot.Lane(k[6+n]),
	}
	if err := c.Check(); err != nil {
		return dot.Chain{}, nil, fmt.Errorf("key %x: %w", k, err)
	}
	return c, k[7+n:], nil
}

// parseSeq reads the end of an entry's key.
func parseSeq(rest []byte) (dot.Seq, bool) {
	if len(rest) != 8 {
		return 0, false
	}
	s := dot.Seq(binary.BigEndian.Uint64(rest))
	return s, s >= 1 && s <= dot.MaxSeq
}
