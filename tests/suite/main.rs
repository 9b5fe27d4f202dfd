//! The programs of CVM from end to end, by subject.

mod benchclient;
mod chain_module;
mod chains;
mod challenge;
mod checkpassword;
mod clients;
mod commands;
mod concurrency;
mod crypt;
mod golden;
mod hostile;
mod hub;
mod interop;
mod lifecycle;
mod lookup;
mod mutations;
mod passwords;
mod qmail;
mod quickstart;
mod requests;
mod settings;
mod sockets;
mod udp_client;
mod unix;
mod usage;
