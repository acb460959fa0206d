namespace Xfrmd.Kernel;

/// <summary>What is to be done with an outbound packet.</summary>
public enum OutboundAction : byte
{
    /// <summary>No policy, or one without templates: it goes as it is.</summary>
    Bypass,

    /// <summary>The SAs of <see cref="OutboundDecision.Sas"/> are applied, innermost first.</summary>
    Transform,

    /// <summary>Dropped: <see cref="OutboundDecision.Counter"/> and <see cref="OutboundDecision.Errno"/> say why.</summary>
    Drop,

    /// <summary>No SA yet: an ACQUIRE was or is to be sent; the packet is dropped (or held, xfrm_larval_drop 0, where no socket's own policy asks).</summary>
    Pending,
}
