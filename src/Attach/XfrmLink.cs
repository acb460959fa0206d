namespace Xfrmd.Attach;

/// <summary>An interface of kind xfrm as a program has asked for it (<c>struct xfrm_if_parms</c>).</summary>
/// <param name="Name">Its name then.</param>
/// <param name="IfId">IFLA_XFRM_IF_ID.</param>
/// <param name="Parent">IFLA_XFRM_LINK: the index of the device beneath, 0 for none.</param>
internal readonly record struct XfrmLink(string Name, uint IfId, uint Parent);
