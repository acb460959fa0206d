namespace Xfrmd.Attach;

/// <summary>The files of /proc that belong to XFRM.</summary>
internal enum KernelFile
{
    None,
    Statistics,
    AcqExpires,
    AeventEtime,
    AeventRseqth,
    LarvalDrop,
}
