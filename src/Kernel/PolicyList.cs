namespace Xfrmd.Kernel;

/// <summary>In which of Linux's lists a policy stands, in the order in which they are asked: the hash table's, then <c>XFRM_POL_CAND_*</c>.</summary>
internal enum PolicyList : byte
{
    /// <summary>Both prefixes reach the hash thresholds.</summary>
    Exact,
    Both,
    Saddr,
    Daddr,
    Any,
    Count,
}
