namespace Xfrmd.Datapath.Steering;

/// <summary>What the kernel beneath does with a packet whose first match in SPD order is a certain policy.</summary>
public enum SteeringAction
{
    /// <summary>Out: into the TUN.</summary>
    Protect,

    /// <summary>As if there were no policy.</summary>
    Bypass,

    /// <summary>Dropped and counted.</summary>
    Block,

    /// <summary>In, forward: plaintext that should have come protected. Dropped and counted.</summary>
    Require,
}
