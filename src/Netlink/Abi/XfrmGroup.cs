namespace Xfrmd.Netlink.Abi;

/// <summary><c>XFRMNLGRP_*</c>: the multicast groups. Netlink rounds their number up to 32; those above <see cref="Mapping"/> stay silent.</summary>
public enum XfrmGroup { Acquire = 1, Expire = 2, Sa = 3, Policy = 4, Aevents = 5, Report = 6, Migrate = 7, Mapping = 8, Count = 32 }
