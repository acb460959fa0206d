namespace Xfrmd.Datapath.Steering;

/// <summary>The four places where policies meet packets.</summary>
internal enum PolicyChainKind
{
    /// <summary>What this host sends: out policies.</summary>
    Out,

    /// <summary>What this host forwards, before routing: out policies.</summary>
    OutForwarded,

    /// <summary>What this host receives: in policies.</summary>
    In,

    /// <summary>What this host forwards: forward policies.</summary>
    Fwd,
}
