//! System tests: real processes, sockets, ptys and databases.
