using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.Netlink.Abi;

namespace Xfrmd.Netlink;

internal sealed partial class XfrmHandler
{
    // xfrm_do_migrate: MIGRATE
    private Outcome Migrate(ref XfrmRequest request)
    {
        XfrmUserPolicyId id = request.Body<XfrmUserPolicyId>();
        if (!request.Attributes.Has(XfrmAttr.Migrate))
        {
            return Outcome.Reject(Errno.EINVAL, "Missing required MIGRATE attribute");
        }
        Outcome outcome = ReadPolicyType(ref request, out PolicyType type);
        if (!outcome.IsOk)
        {
            return outcome;
        }
        ReadOnlySpan<byte> data = request.Attributes.Data(XfrmAttr.Migrate);
        int size = Unsafe.SizeOf<XfrmUserMigrate>(), count = data.Length / size;
        MigrateEntry[] entries = new MigrateEntry[count];
        for (int i = 0; i < count; i++)
        {
            XfrmUserMigrate given = MemoryMarshal.Read<XfrmUserMigrate>(data[(i * size)..]);
            entries[i] = new MigrateEntry
            {
                OldDaddr = given.OldDaddr,
                OldSaddr = given.OldSaddr,
                NewDaddr = given.NewDaddr,
                NewSaddr = given.NewSaddr,
                Proto = given.Proto,
                Mode = (XfrmMode)given.Mode,
                Reqid = given.Reqid,
                OldFamily = given.OldFamily,
                NewFamily = given.NewFamily,
            };
        }
        KmAddress? kmAddress = request.Attributes.TryRead(XfrmAttr.KmAddress, out XfrmUserKmAddress km)
            ? new KmAddress(km.Local, km.Remote, km.Reserved, km.Family)
            : null;
        XfrmEncapTmpl? encap = request.Attributes.TryRead(XfrmAttr.Encap, out XfrmEncapTmpl template) ? template : null;
        uint ifId = request.Attributes.UInt32(XfrmAttr.IfId) ?? 0;
        Func<SecurityAssociation, Outcome>? offload = request.Attributes.TryRead(XfrmAttr.OffloadDev, out XfrmUserOffload device) ? sa => RefuseOffload(sa, device) : null;
        return Migration.Run(_space, id.Sel, id.Dir, type, entries, kmAddress, encap, ifId, offload);
    }
}
