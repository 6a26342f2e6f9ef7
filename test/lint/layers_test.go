// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/assaynet/assay"

// room is a folder of the tree and what the packages below it may import.
type room struct {
	// ours lists folders of this module, with all below them; a package may always
	// import those of its own room.
	ours []string
	// bare rooms import nothing beside the standard library and ours.
	bare bool
}

// anything is for programs, which put the others together.
var anything = []string{""}

// rooms by folder; the longest one that holds a package counts.
var rooms = map[string]room{
	"poc":        {bare: true},
	"internal":   {}, // helpers that know nothing of ours
	"api":        {},
	"api/mpoc":   {ours: []string{"poc"}},
	"api/worker": {ours: []string{"poc"}},
	"device":     {ours: []string{"poc"}},
	"link":       {ours: []string{"poc", "internal"}},
	"worker":     {ours: []string{"poc", "internal", "link", "api/worker", "api/mpoc"}},
	"worker/cli": {ours: []string{"worker", "poc", "internal", "link", "api/worker",
		"api/mpoc", "device"}},
	"accounts":      {ours: []string{"internal"}},
	"client":        {ours: []string{"poc", "api"}},
	"host":          {ours: []string{"accounts", "client", "poc", "internal", "link", "api"}},
	"chain":         {ours: []string{"accounts", "poc", "internal", "api"}},
	"chain/x":       {ours: []string{"poc", "api", "chain/vrf", "chain/paging", "chain/table"}},
	"chain/paging":  {},
	"chain/table":   {},
	"chain/vrf":     {},
	"chain/keyfile": {ours: []string{"internal"}, bare: true},
	"verify":        {ours: []string{"client", "poc", "api"}},
	"adversary":     {ours: []string{"poc", "api"}},
	"dash":          {ours: []string{"api"}},
	"localnet":      {ours: anything},
	"cmd/assay":     {ours: anything},
	"cmd/assay-worker": {ours: []string{"worker", "internal", "device", "link", "poc",
		"api/worker", "api/mpoc"}},
	"test": {ours: anything},
}

// linksNoChain are programs that must not contain any of these modules.
var (
	linksNoChain = []string{"cmd/assay-worker", "poc/...", "internal/...", "link/...", "worker/...",
		"device/...", "test/peers", "test/gpukit"}
	chainModules = []string{"github.com/cosmos/", "cosmossdk.io/", "github.com/cometbft/",
		module + "/chain", module + "/host"}
	// testsLinkNoChain are quick to build, their tests included. They may have
	// rooms of the host.
	testsLinkNoChain = []string{"test/crowd", "test/pool", "host/fleet", "host/gate", "host/pool",
		"host/batch", "host/store", "host/ledger"}
)

// forTests are rooms that only tests import.
var forTests = []string{"device/enginetest", "worker/enginetest", "internal/terminal/terminaltest",
	"internal/flips", "internal/fulldisk", "host/settle/settletest", "host/voter/votertest",
	"host/leaflog/leaflogtest", "internal/oddhome"}

// tiers orders the rooms inside host and worker: each imports those of earlier tiers only. The root
// puts the parts together; what shows it to people stands above it.
var tiers = map[string][][]string{
	"host": {{"batch", "gate", "leaflog", "submit"}, {"store", "fleet"}, {"ledger", "machines"},
		{"settle", "pool", "books"}, {"board"},
		{"voter"}, {"sprint"}, {"."}, {"screen"}, {"cli"}},
	"worker": {{"pool"}, {"runner"}, {"."}, {"monitor", "screen"}, {"cli"}},
}

// upward names every arrow inside a room that does not run to an earlier tier.
func upward(all imports) (found []string) {
	for name, order := range tiers {
		tier := func(path string) int {
			rest := strings.TrimPrefix(strings.TrimPrefix(path, name), "/")
			if rest == "" {
				rest = "."
			}
			return slices.IndexFunc(order,
				func(t []string) bool { return slices.Contains(t, rest) })
		}
		for folder, list := range all {
			if !within(folder, name) || slices.Contains(forTests, folder) {
				continue
			}
			if tier(folder) < 0 {
				found = append(found, folder+" has no tier")
			}
			for _, path := range list {
				if rest, ours := strings.CutPrefix(path, module+"/"); ours && within(rest, name) &&
					tier(rest) >= tier(folder) {
					found = append(found,
						fmt.Sprintf("%s imports %s, which is not below it", folder, rest))
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// imports are a package's folder below the module and what it imports, tests left out.
type imports map[string][]string

// violations names every import that its room does not allow.
func violations(all imports) (found []string) {
	for folder, list := range all {
		name, r, known := roomOf(folder)
		if !known {
			found = append(found, fmt.Sprintf("%s has no room; give it one in test/lint and in "+
				"ARCHITECTURE.md", folder))
			continue
		}
		for _, path := range list {
			rest, isOurs := strings.CutPrefix(path, module+"/")
			switch {
			case isOurs && slices.Contains(forTests, rest):
				found = append(found,
					fmt.Sprintf("%s imports %s, which is for tests", folder, rest))
			case isOurs && within(rest, name):
			case isOurs && slices.ContainsFunc(r.ours,
				func(allowed string) bool { return within(rest, allowed) }):
			case isOurs:
				found = append(found, fmt.Sprintf("%s imports %s; %s may import %s", folder, rest,
					name, strings.Join(append([]string{name}, r.ours...), ", ")))
			case r.bare && strings.Contains(strings.SplitN(path, "/", 2)[0], "."):
				found = append(found, fmt.Sprintf("%s imports %s; %s has the standard library only",
					folder, path, name))
			}
		}
	}
	slices.Sort(found)
	return found
}

func roomOf(folder string) (name string, r room, known bool) {
	for candidate, of := range rooms {
		if within(folder, candidate) && (!known || len(candidate) > len(name)) {
			name, r, known = candidate, of, true
		}
	}
	return name, r, known
}

// within reports whether a folder is another or lies below it; all lie below "".
func within(folder, outer string) bool {
	return outer == "" || folder == outer || strings.HasPrefix(folder, outer+"/")
}

// goList runs go list in the module's root and returns its lines.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go list %v: %s", args, e.Stderr)
		}
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestLayers(t *testing.T) {
	all := make(imports)
	for _, line := range goList(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		fields := strings.Fields(line)
		folder, ours := strings.CutPrefix(fields[0], module+"/")
		if !ours {
			folder = ""
		}
		all[folder] = fields[1:]
	}
	if len(all) < 20 {
		t.Fatalf("go list shows %d packages only", len(all))
	}
	delete(all, "") // a package in the root would be documentation
	for _, v := range append(violations(all), upward(all)...) {
		t.Error(v)
	}
}

func TestUpwardFindsPlantedArrows(t *testing.T) {
	planted := imports{
		"host":       {module + "/host/sprint", module + "/host/screen"},
		"host/fleet": {module + "/host/ledger", module + "/host/gate"},
		"host/cli":   {module + "/host", module + "/host/screen"},
		"host/extra": {module + "/host/fleet"},
		"worker":     {module + "/worker/runner", "fmt"},
	}
	want := []string{
		"host imports host/screen, which is not below it",
		"host/extra has no tier",
		"host/extra imports host/fleet, which is not below it",
		"host/fleet imports host/ledger, which is not below it",
	}
	if diff := cmp.Diff(want, upward(planted)); diff != "" {
		t.Error(diff)
	}
}

func TestLayersFindsPlantedViolations(t *testing.T) {
	planted := imports{
		"poc/audit":    {"math/big", "github.com/cosmos/gogoproto/proto"},
		"poc/evidence": {module + "/link"},
		"device/cuda": {module + "/poc/work", module + "/worker",
			module + "/device/enginetest"},
		"worker": {module + "/device/telemetry"},
		"worker/cli": {module + "/host/fleet", module + "/api/worker/v1", module + "/link",
			module + "/device"},
		"host": {module + "/worker", module + "/chain/app"},
		"chain/x/sprint": {module + "/chain/x/credit", module + "/chain/app",
			module + "/device/cpu", module + "/host"},
		"chain/node": {module + "/chain/app", module + "/localnet"},
		"cmd/assay-worker": {module + "/worker/cli", module + "/chain/app",
			module + "/worker/enginetest"},
		"hosting":       {"fmt"},
		"cmd/assay/cli": {module + "/host", module + "/chain/cli", module + "/worker/cli"},
	}
	want := []string{
		"chain/node imports localnet; chain may import chain, accounts, poc, internal, api",
		"chain/x/sprint imports chain/app; chain/x may import chain/x, poc, api, chain/vrf, " +
			"chain/paging, chain/table",
		"chain/x/sprint imports device/cpu; chain/x may import chain/x, poc, api, chain/vrf, " +
			"chain/paging, chain/table",
		"chain/x/sprint imports host; chain/x may import chain/x, poc, api, chain/vrf, " +
			"chain/paging, chain/table",
		"cmd/assay-worker imports chain/app; cmd/assay-worker may import cmd/assay-worker, " +
			"worker, internal, device, link, poc, api/worker, api/mpoc",
		"cmd/assay-worker imports worker/enginetest, which is for tests",
		"device/cuda imports device/enginetest, which is for tests",
		"device/cuda imports worker; device may import device, poc",
		"host imports chain/app; host may import host, accounts, client, poc, internal, link, api",
		"host imports worker; host may import host, accounts, client, poc, internal, link, api",
		"hosting has no room; give it one in test/lint and in ARCHITECTURE.md",
		"poc/audit imports github.com/cosmos/gogoproto/proto; poc has the standard library only",
		"poc/evidence imports link; poc may import poc",
		"worker imports device/telemetry; worker may import worker, poc, internal, link, " +
			"api/worker, api/mpoc",
		"worker/cli imports host/fleet; worker/cli may import worker/cli, worker, poc, internal, " +
			"link, api/worker, api/mpoc, device",
	}
	if diff := cmp.Diff(want, violations(planted)); diff != "" {
		t.Error(diff)
	}
}

// chainParts are the packages of a program that belong to the chain.
func chainParts(deps []string) (found []string) {
	for _, path := range deps {
		if slices.ContainsFunc(chainModules,
			func(m string) bool { return strings.HasPrefix(path, m) }) {
			found = append(found, path)
		}
	}
	return found
}

func TestWorkerLinksNoChain(t *testing.T) {
	for _, program := range linksNoChain {
		if found := chainParts(goList(t, "-deps", "./"+program)); len(found) > 0 {
			t.Errorf("%s links the chain: %s", program, strings.Join(found, ", "))
		}
	}
	for _, tests := range testsLinkNoChain {
		found := slices.DeleteFunc(chainParts(goList(t, "-deps", "-test", "./"+tests)),
			func(path string) bool { return within(path, module+"/host") })
		if len(found) > 0 {
			t.Errorf("the tests of %s link the chain: %s", tests, strings.Join(found, ", "))
		}
	}
	if len(chainParts(goList(t, "-deps", "./chain/app"))) < 100 {
		t.Error("the check does not recognise the chain itself")
	}
}
