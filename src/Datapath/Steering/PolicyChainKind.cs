namespace Xfrmd.Datapath.Steering;

/// <summary>The places where policies meet packets.</summary>
internal enum PolicyChainKind
{
    /// <summary>What this host sends: out policies.</summary>
    Out,

    /// <summary>What this host forwards, before routing: out policies.</summary>
    OutForwarded,

    /// <summary>ICMP errors that it sends or forwards: out policies, by the packet that the error quotes, turned round.</summary>
    OutErrors,

    /// <summary>What this host receives: in policies.</summary>
    In,

    /// <summary>What this host forwards, before routing: forward policies.</summary>
    Fwd,

    /// <summary>ICMP errors that it forwards and no forward policy covers: forward policies, by the packet that the error quotes, turned round.</summary>
    FwdErrors,
}
