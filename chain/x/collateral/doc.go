// SPDX-License-Identifier: Apache-2.0

// Package collateral holds coins that stand for something.
//
// Every account has one deposit, and other modules lock parts of it, each for a
// purpose from one table (keys.go): a registration is kept, a place in a lottery
// is taken, a claim is answered for. A coin is locked for one purpose at a time,
// so it never vouches for two things, and only what no purpose holds can be
// withdrawn. One deposit instead of one account for each purpose means that an
// operator pays in once and sees in one place what is bound to what.
//
// Coins enter by MsgDeposit, or by TopUp when a module takes what a message needs
// from its sender's balance. They leave by MsgWithdraw, by Refund when a module
// ends what it locked them for, or by Forfeit, which is the only way to lose
// them: a locked amount goes in part to somebody and otherwise is burnt.
//
// Two equations hold after every message and block: the deposits add up to what
// the module's account holds, and nobody has more locked than deposited. Check
// computes both from the state; tests call it after each step, and a genesis that
// breaks one is refused. Nobody can send coins to the module's account past the
// messages above, since the bank blocks its address.
//
// Hostile parts. An account can do nothing here but move its own coins, and no
// message names another account. A module that this package is handed to could
// lock or forfeit anything; the table of purposes says which modules those are.
package collateral
