// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"time"
)

// Constitution holds the bounds on governance that differ between networks. It is
// part of the genesis, as the text that x/gov calls the chain's constitution, and
// no message changes it. An export carries it into the next genesis.
type Constitution struct {
	// MinVoting and MinExpedited are the shortest periods that governance may give
	// to an ordinary and to an expedited vote.
	MinVoting, MinExpedited time.Duration
	// UpgradeNotice is how many blocks ahead an upgrade has to be decided.
	UpgradeNotice int64
}

// constitution is the sentence that stands in the genesis.
const constitution = "A vote takes %s or longer, an expedited vote %s or longer, and an upgrade " +
	"is decided %d blocks ahead or earlier."

// String writes the constitution as it stands in the genesis.
func (c Constitution) String() string {
	return fmt.Sprintf(constitution, c.MinVoting, c.MinExpedited, c.UpgradeNotice)
}

// ParseConstitution reads what String writes, and nothing else.
func ParseConstitution(text string) (c Constitution, err error) {
	var voting, expedited string
	if _, err = fmt.Sscanf(text, constitution, &voting, &expedited, &c.UpgradeNotice); err == nil {
		c.MinVoting, err = time.ParseDuration(voting)
	}
	if err == nil {
		c.MinExpedited, err = time.ParseDuration(expedited)
	}
	if err == nil && c.String() != text {
		err = errors.New("it is not written in the one form that is read")
	}
	if err == nil && (c.MinExpedited <= 0 || c.MinVoting < c.MinExpedited ||
		c.MinVoting > maxVoting || c.UpgradeNotice < 1 || c.UpgradeNotice > maxNotice) {
		err = fmt.Errorf("the periods have to be positive, the expedited one the shorter, both "+
			"at most %s; the notice 1 to %d blocks", maxVoting, maxNotice)
	}
	if err != nil {
		return Constitution{}, fmt.Errorf("app: constitution %q: %w; an example is %q", text, err,
			Constitution{time.Minute, 30 * time.Second, 20})
	}
	return c, nil
}
