namespace Xfrmd.Kernel;

/// <summary>net.core.xfrm_* of one namespace (<c>xfrm_sysctl.c</c>), with the kernel's defaults.</summary>
public sealed class XfrmSysctls
{
    /// <summary>Age of a replay state in 100 ms after which an AEVENT is due.</summary>
    public volatile uint AeventEtime = 10;

    /// <summary>Packets after which an AEVENT is due.</summary>
    public volatile uint AeventRseqth = 2;

    /// <summary>Whether a packet without SA is dropped (1) or held on the policy's queue (0).</summary>
    public volatile int LarvalDrop = 1;

    /// <summary>Seconds that a larval SA lives.</summary>
    public volatile uint AcqExpires = 30;
}
