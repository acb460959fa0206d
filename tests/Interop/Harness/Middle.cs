namespace Xfrmd.Interop.Harness;

/// <summary>What stands between two gateways.</summary>
public enum Middle
{
    /// <summary>A bridge: both are on one link.</summary>
    Bridge,

    /// <summary>A router.</summary>
    Router,

    /// <summary>A router that masquerades what comes from the left one.</summary>
    Nat,

    /// <summary>A router that masquerades the left one and forwards IKE to the right one, which has no address of its own outside either.</summary>
    TwoNats,
}
