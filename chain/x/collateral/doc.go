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
// ends what it locked them for, or by Forfeit: a locked amount goes in part to
// somebody and otherwise is burnt.
//
// What is locked for weight covers it (Backing): uncovered weight gives no power,
// votes or pay once a unit has a price. Such coins leave by a withdrawal, which
// backs nothing from its block on and is paid when no evidence of an offence can
// come any longer. Until then all of it can be slashed (Take), which the court alone
// does: what is taken is held until it burns it or gives it back.
//
// Two equations hold after every message and block: deposits, open withdrawals and
// what is held add up to what the module's account has, and nobody has more locked than
// deposited. Check
// computes both from the state; tests call it after each step, and a genesis that
// breaks one is refused. Nobody can send coins to the module's account past the
// messages above, since the bank blocks its address.
//
// Hostile parts. An account can do nothing here but move its own coins, and no
// message names another account. A module that this package is handed to could
// lock or forfeit anything; the table of purposes says which modules those are.
package collateral
