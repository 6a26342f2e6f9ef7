// SPDX-License-Identifier: Apache-2.0

package node

import (
	"cmp"
	"sync"

	"github.com/cosmos/cosmos-sdk/version"

	"github.com/assaynet/assay/chain/app"
	"github.com/assaynet/assay/internal/build"
)

// Description is the chain that this release runs.
type Description struct {
	// App is the app's name.
	App string `json:"app"`
	// Upgrade is the newest upgrade that this release can run, "none" before the first one.
	Upgrade string `json:"upgrade"`
	// SDK and CometBFT are versions.
	SDK      string `json:"cosmos_sdk"`
	CometBFT string `json:"cometbft"`
}

// Describe describes it.
func Describe() Description {
	return Description{App: app.Name, Upgrade: cmp.Or(app.LastUpgrade(), "none"),
		SDK:      build.Dependency("github.com/cosmos/cosmos-sdk"),
		CometBFT: build.Dependency("github.com/cometbft/cometbft")}
}

// named guards the SDK's variables, which all nodes of a process share.
var named sync.Once

// name tells the SDK which program it runs in, for node_info.
func name() {
	named.Do(func() {
		from := build.Read()
		version.Name, version.AppName, version.Version, version.Commit = app.Name, app.Name,
			from.Version, from.Commit
	})
}
